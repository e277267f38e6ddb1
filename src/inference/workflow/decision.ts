import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { BUSY, DeploySettings, DeployStates, noted, outcome } from './deploy-states';
import { Scaling } from './scaling';
import { modelPackageArns } from '../../shared/arns';
import { condition, expr, orElse, text } from '../../shared/workflow/jsonata';
import { Fields, ServiceTask } from '../../shared/workflow/service-task';
import { SAGEMAKER } from '../../shared/workflow/services';

/** Where a decision leads. */
export interface DecisionExits {
  /** The version is to be deployed. */
  readonly deploy: sfn.IChainable;
  /** There is nothing to do. */
  readonly done: sfn.IChainable;
  readonly failure: sfn.IChainable;
}

/**
 * Whether and how to deploy. The endpoint serves the highest version that is approved:
 *
 * - a version that is no longer approved is left alone;
 * - a version below the one that serves is left alone too, so that late and repeated events change nothing, unless the one
 *   that serves is no longer approved: reject it and approve the older one again to go back;
 * - what already serves, with the same capacity, key and network, is not deployed again.
 */
export class Decision extends DeployStates {
  public readonly start: sfn.IChainable;

  constructor(scope: Construct, id: string, settings: DeploySettings, private readonly exits: DecisionExits) {
    super(scope, id, settings);
    this.start = this.isItApproved(this.isItNewer(this.doesItServeAlready()));
  }

  private isItApproved(approved: sfn.IChainable): sfn.IChainable {
    const { done, failure } = this.exits;
    const describe = this.describePackage('DescribePackage', '$package', {
      version: expr(orElse('$states.result.ModelPackageVersion', '0')),
      approval: expr(orElse('$states.result.ModelApprovalStatus', "''")),
    });
    describe
      .addCatch(this.choice('IsPackageGone')
        .when(condition("$contains($cause, 'does not exist')"), done, { assign: outcome('SKIPPED', "$package & ' no longer exists'") })
        .otherwise(failure), noted('describe the model package'))
      .next(this.choice('IsApproved', outcome('SKIPPED',
        "'version ' & $string($version) & ' is not approved (any more): its status is ' & $approval"))
        .when(condition("$approval = 'Approved'"), approved)
        .otherwise(done));
    return describe;
  }

  private isItNewer(newer: sfn.IChainable): sfn.IChainable {
    const { done, failure } = this.exits;
    const describeServing = this.describePackage('DescribeServing', '$servingPackage', {
      servingApproval: expr(orElse('$states.result.ModelApprovalStatus', "''")),
    });
    const readServing = this.readServing('ReadServing');

    readServing
      .addCatch(failure, noted('read what serves'))
      .next(this.choice('IsOlder')
        .when(condition('$servingVersion > $version'), describeServing)
        .otherwise(newer));
    describeServing
      .addCatch(this.choice('IsServingGone')
        .when(condition("$contains($cause, 'does not exist')"), newer)
        .otherwise(failure), noted('describe the model package that serves'))
      .next(this.choice('IsServingApproved')
        .when(condition("$servingApproval = 'Approved'"), done, {
          assign: outcome('SKIPPED', "'version ' & $string($version) & ' is older than version ' & $string($servingVersion)"
            + " & ', which serves and is approved: reject that one first to go back'"),
        })
        .otherwise(newer));
    return readServing;
  }

  private doesItServeAlready(): sfn.IChainable {
    const { deploy, done, failure } = this.exits;
    // No retry: that an endpoint does not exist is an answer, and the error is the same as for throttling.
    const look = this.describeEndpoint('LookAtEndpoint', { assign: { there: true }, retry: false });
    const wait = this.wait('WaitForEndpoint');
    // Sets right what an interrupted deployment left without autoscaling.
    const scaled = new Scaling(this, 'Scaling', this.settings).start('ThatServes', done, failure, noted('set up autoscaling'));

    look
      .addCatch(this.choice('IsEndpointAbsent')
        .when(condition("$contains($cause, 'Could not find')"), deploy)
        .when(condition('$contains($cause, /rate exceeded|throttl/i)'), wait)
        .otherwise(failure), noted('describe the endpoint', { there: false, served: '' }))
      .next(this.choice('SeeEndpoint', { previous: expr('$served') })
        .when(condition(`$status in ${BUSY}`), wait)
        .when(condition("$status = 'InService' and $servingPackage = $package and $servingRelease = $served"
          + ` and $servingHosting = ${text(this.hosting)}`), scaled, {
          assign: outcome('ALREADY_SERVING', "'version ' & $string($version) & ' already serves'"),
        })
        // Nothing else can be done with an endpoint that failed; the next look finds it deleting, then gone.
        .when(condition("$status in ['Failed', 'OutOfService']"), this.deleteEndpoint('DeleteBrokenEndpoint')
          .addCatch(failure, noted('delete the endpoint that failed'))
          .next(wait))
        .otherwise(deploy));
    wait.next(look);
    return look;
  }

  private describePackage(id: string, modelPackage: string, assign: Fields): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'describeModelPackage',
      parameters: { ModelPackageName: expr(modelPackage) },
      resources: modelPackageArns(this, this.settings.registry.modelPackageGroupName),
      assign,
    });
  }
}
