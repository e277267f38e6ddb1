import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DeploySettings, DeployStates, failure, noted, outcome, releaseOf } from './deploy-states';
import { condition, expr, orElse } from '../../shared/workflow/jsonata';

/** Where a restoration leads. */
export interface RestorationExits {
  /** Goes back to `$previous`, scales again and drops `$release`. */
  readonly undo: sfn.IChainable;
  /** Deletes `$previous`. */
  readonly deleteOld: sfn.IChainable;
  readonly failure: sfn.IChainable;
}

/** Why a deployment is undone that did not fail by itself. */
export const INTERRUPTED = 'DeploymentInterrupted';

/**
 * Sets right what an execution left that was stopped or timed out: its own failure path did not run. A deployment that the catalog knows
 * stands, and what it replaced is deleted; any other one is undone. The endpoint shall serve what the catalog says, so that a
 * restoration that comes late or again, after another deployment, changes nothing of that one.
 */
export class Restoration extends DeployStates {
  public readonly start: sfn.IChainable;

  constructor(scope: Construct, id: string, settings: DeploySettings, exits: RestorationExits) {
    super(scope, id, settings);
    const describe = this.describeExecution('DescribeInterrupted', '$interrupted', {
      package: expr(input('modelPackageArn')),
      before: expr(input('interrupted')),
    });
    const readServing = this.readServing('ReadWhatShouldServe');

    describe
      .addCatch(exits.failure, noted('describe the interrupted execution'))
      .next(this.choice('WasItARestoration', {
        release: expr(releaseOf(settings.prefix, '$interrupted')),
        version: expr("$package = '' ? 0 : $number($split($package, '/')[-1])"),
      })
        // That of a restoration which was interrupted itself.
        .when(condition("$before != ''"), describe, { assign: { interrupted: expr('$before') } })
        .otherwise(readServing));
    readServing
      .addCatch(exits.failure, noted('read what serves'))
      .next(this.choice('WasItRecorded', {
        ...failure(INTERRUPTED, "'the deployment was interrupted'"), previous: expr('$servingRelease'), asked: true,
      })
        .when(condition('$servingRelease = $release'), exits.deleteOld, {
          assign: {
            ...outcome('RESTORED', "'version ' & $string($version) & ' serves; its deployment was interrupted after that'"),
            previous: expr('$servingReplaces'),
            servingRelease: '',
          },
        })
        .otherwise(exits.undo));
    this.start = describe;
  }
}

/** JSONata for a field of the input of the execution that was described. */
function input(field: string): string {
  return orElse(`$parse($states.result.Input).${field}`, "''");
}
