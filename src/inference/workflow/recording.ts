import { Stack } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DeploySettings, DeployStates, ignored, noted } from './deploy-states';
import { servingKey } from '../../registry/catalog.lambda-shared';
import { condition, expr, text } from '../../shared/workflow/jsonata';
import { ServiceTask } from '../../shared/workflow/service-task';
import { EVENTBRIDGE } from '../../shared/workflow/services';
import { DEPLOYED_EVENT } from '../environment';

/** Where the states that follow a deployment lead. */
export interface RecordingExits {
  readonly done: sfn.IChainable;
  readonly failure: sfn.IChainable;
}

/** Records in the catalog what serves, tells of it, and deletes what served before. */
export class Recording extends DeployStates {
  public readonly start: sfn.IChainable;
  /** Deletes what `$previous` names, and what the catalog knew. */
  public readonly deleteOld: sfn.IChainable;

  constructor(scope: Construct, id: string, settings: DeploySettings, private readonly exits: RecordingExits) {
    super(scope, id, settings);
    this.deleteOld = this.deleteWhatServed();
    this.start = this.record(this.announce(this.deleteOld));
  }

  private record(recorded: sfn.IChainable): sfn.IChainable {
    const history = this.recordDeployment('RecordDeployment');
    history.addCatch(recorded, ignored()).next(recorded);
    return this.recordServing()
      .addCatch(this.exits.failure, noted('record what serves'))
      .next(history);
  }

  private announce(announced: sfn.IChainable): sfn.IChainable {
    return this.putEvents().addCatch(announced, ignored()).next(announced);
  }

  /** What cannot be deleted now costs nothing, and goes with the stack. */
  private deleteWhatServed(): sfn.IChainable {
    const deleteConfig = this.deleteEndpointConfig('DeleteOldConfig', '$old');
    const deleteModel = this.deleteModel('DeleteOldModel', '$old');
    const old = (release: string) => ({ assign: { old: expr(release) } });
    // A deployment that was stopped on its way left two: what the endpoint served, and what the catalog knew.
    const isRecordedThere = this.choice('IsRecordedThere')
      .when(condition("$servingRelease != '' and $servingRelease != $old"), deleteConfig, old('$servingRelease'))
      .otherwise(this.exits.done);

    deleteConfig.addCatch(deleteModel, ignored()).next(deleteModel);
    deleteModel.addCatch(isRecordedThere, ignored()).next(isRecordedThere);
    // After a broken endpoint was deleted, the catalog still knows what it served.
    return this.choice('IsOldThere')
      .when(condition("$previous != ''"), deleteConfig, old('$previous'))
      .when(condition("$servingRelease != ''"), deleteConfig, old('$servingRelease'))
      .otherwise(this.exits.done);
  }

  private recordServing(): ServiceTask {
    return this.catalog('RecordServing', 'SERVING', 'putItem', {
      Item: {
        ...this.key(servingKey),
        modelPackageArn: { S: expr('$package') },
        version: { N: expr('$string($version)') },
        since: { S: expr('$now()') },
        release: { S: expr('$release') },
        replaces: { S: expr("$previous != '' ? $previous : $servingRelease") },
        capacity: { S: this.hosting },
        executionArn: { S: expr('$states.context.Execution.Id') },
      },
    }, { assign: { outcome: 'DEPLOYED', message: expr("'version ' & $string($version) & ' serves'") } });
  }

  private putEvents(): ServiceTask {
    const { endpointName, registry } = this.settings;
    return new ServiceTask(this, 'Announce', {
      service: EVENTBRIDGE,
      action: 'putEvents',
      parameters: {
        Entries: [{
          Source: DEPLOYED_EVENT.source,
          DetailType: DEPLOYED_EVENT.detailType,
          Detail: expr(`$string({ 'endpointName': ${text(endpointName)}, 'modelPackageGroupName': ${text(registry.modelPackageGroupName)}`
            + ", 'modelPackageArn': $package, 'version': $version })"),
        }],
      },
      resources: [Stack.of(this).formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' })],
      conditions: { StringEquals: { 'events:source': DEPLOYED_EVENT.source } },
    });
  }
}
