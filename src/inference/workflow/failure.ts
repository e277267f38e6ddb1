import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { BUSY, DeploySettings, DeployStates, ignored } from './deploy-states';
import { Scaling } from './scaling';
import { condition, expr, KEEP_INPUT, orElse } from '../../shared/workflow/jsonata';

/**
 * After a failure: what served before serves again, a first model that does not predict serves nobody, and the release
 * leaves nothing behind that the next one stumbles over.
 */
export class Failure extends DeployStates {
  public readonly start: sfn.IChainable;

  /** @param end where every failure leads, once it is recorded */
  constructor(scope: Construct, id: string, settings: DeploySettings, end: sfn.IChainable) {
    super(scope, id, settings);
    const record = this.recordDeployment('RecordFailure');
    record.addCatch(end, ignored()).next(end);
    const drop = this.dropRelease(record);
    this.start = sfn.Pass.jsonata(this, 'NoteFailure', { assign: { outcome: '' } })
      .next(this.choice('IsEndpointTouched')
        .when(condition('$asked'), this.restore(drop, record))
        .otherwise(drop));
  }

  /** Sees to the endpoint until it serves what it served before, or is gone. */
  private restore(drop: sfn.IChainable, record: sfn.IChainable): sfn.IChainable {
    const restored = this.scaleAgain(drop);
    const look = this.describeEndpoint('LookAfterFailure', { retry: false });
    const wait = this.wait('WaitAfterFailure');
    wait.next(look);
    const withdraw = this.deleteEndpoint('WithdrawEndpoint', { assign: { cause: expr("$cause & '; the endpoint was deleted'") } });
    const goBack = this.updateEndpoint('RestoreEndpoint', '$previous', {
      assign: { restored: true, cause: expr("$cause & '; the endpoint goes back to what it served before'") },
    });
    const recreate = this.createEndpoint('RecreateEndpoint', '$previous', {
      assign: { restored: true, cause: expr("$cause & ' and created again with what it served before'") },
    });
    [withdraw, goBack, recreate].forEach((task) => task.addCatch(record, ignored()).next(wait));
    const back = this.verifyPrevious(goBack, recreate, record);

    look
      .addCatch(this.choice('IsAbsentAfterFailure')
        .when(condition('$contains($lookCause, /rate exceeded|throttl/i)'), wait)
        .when(condition("$contains($lookCause, 'Could not find') and $previous != '' and $not($restored)"), back, { assign: { gone: true } })
        .when(condition("$contains($lookCause, 'Could not find')"), drop)
        .otherwise(record), { assign: { lookCause: expr(orElse('$states.errorOutput.Cause', "''")) }, outputs: KEEP_INPUT })
      .next(this.choice('SeeAfterFailure')
        .when(condition(`$status in ${BUSY}`), wait)
        .when(condition('$restored and $served = $previous'), restored)
        .when(condition('$restored'), record)
        .when(condition("$status = 'Failed' or ($served = $release and $previous = '')"), withdraw)
        .when(condition('$served = $release'), back, { assign: { gone: false } })
        .otherwise(restored));
    return look;
  }

  /** What served before may serve again only as it was registered; else the endpoint is left as it is. */
  private verifyPrevious(goBack: sfn.IChainable, recreate: sfn.IChainable, record: sfn.IChainable): sfn.IChainable {
    const stays = (why: string) => expr(`$cause & '; the endpoint does not go back to what it served before: ' & ${why}`);
    return this.verifyArtifacts('VerifyPrevious', { modelName: expr('$previous') })
      .addCatch(record, { assign: { cause: stays(orElse('$states.errorOutput.Cause', "'no cause given'")) }, outputs: KEEP_INPUT })
      .next(this.choice('IsPreviousVerified')
        .when(condition("$problem != ''"), record, { assign: { cause: stays('$problem') } })
        .when(condition('$gone'), recreate)
        .otherwise(goBack));
  }

  private scaleAgain(drop: sfn.IChainable): sfn.IChainable {
    return this.settings.capacity.isAutoscaled
      ? this.choice('MayScaleAgain')
        .when(condition("$status = 'InService'"), new Scaling(this, 'Scaling', this.settings).start('Again', drop, drop, ignored()))
        .otherwise(drop)
      : drop;
  }

  private dropRelease(dropped: sfn.IChainable): sfn.IChainable {
    const dropModel = this.deleteModel('DropModel', '$release', { retry: false });
    dropModel.addCatch(dropped, ignored()).next(dropped);
    return sfn.Pass.jsonata(this, 'DropRelease', { assign: { undone: true } })
      .next(this.deleteEndpointConfig('DropConfig', '$release', { retry: false }).addCatch(dropModel, ignored()).next(dropModel));
  }
}
