import { Duration } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import { BUSY, DeploySettings, DeployStates, failure, ignored, noted } from './deploy-states';
import { Scaling } from './scaling';
import { condition, expr, orElse } from '../../shared/workflow/jsonata';
import { ServiceTask } from '../../shared/workflow/service-task';
import { SAGEMAKER } from '../../shared/workflow/services';
import { MODEL_PACKAGE_TAG, VARIANT } from '../environment';

/** Where a release leads. */
export interface ReleaseExits {
  /** The version serves. */
  readonly serves: sfn.IChainable;
  readonly failure: sfn.IChainable;
}

/** How long copies may take after an approval: one run of the registry's function, and the delivery of its event. */
const LONGEST_COPY = Duration.minutes(20);
const ALREADY_THERE = condition('$contains($cause, /already exist/i)');

/** Creates the model and its endpoint config, moves the endpoint to it, and believes nothing before it has seen it. */
export class Release extends DeployStates {
  public readonly start: sfn.IChainable;

  constructor(scope: Construct, id: string, settings: DeploySettings, private readonly exits: ReleaseExits) {
    super(scope, id, settings);
    this.start = this.verify(this.create(this.rollOut(this.prove(this.scale(exits.serves)))));
  }

  /** What was approved must be what is there. The registry makes its copies by an event of its own, which may come after the approval. */
  private verify(verified: sfn.IChainable): sfn.IChainable {
    const verify = this.verifyArtifacts('VerifyArtifacts', { modelPackageArn: expr('$package') });
    const wait = this.wait('WaitForArtifacts');
    wait.next(verify);
    verify
      .addCatch(this.exits.failure, noted('verify the artifacts'))
      .next(this.choice('SeeArtifacts', failure('ArtifactsNotVerified', '$problem'))
        .when(condition('$pending and $millis() < $patience'), wait)
        .when(condition("$problem = ''"), verified)
        .otherwise(this.exits.failure));
    const patience = Math.min(LONGEST_COPY.toMilliseconds(), this.settings.timeout.toMilliseconds() / 2);
    return sfn.Pass.jsonata(this, 'ExpectArtifacts', { assign: { patience: expr(`$millis() + ${patience}`) } }).next(verify);
  }

  /** The names are this execution's own: if one is there, an attempt succeeded whose answer was lost. */
  private create(created: sfn.IChainable): sfn.IChainable {
    const createConfig = this.createEndpointConfig();
    createConfig
      .addCatch(this.choice('IsConfigThere').when(ALREADY_THERE, created).otherwise(this.exits.failure), noted('create the endpoint config'))
      .next(created);
    return this.createModel()
      .addCatch(this.choice('IsModelThere').when(ALREADY_THERE, createConfig).otherwise(this.exits.failure), noted('create the model'))
      .next(createConfig);
  }

  private rollOut(inService: sfn.IChainable): sfn.IChainable {
    const wait = this.wait('WaitForRelease');
    wait.next(this.lookAtRelease(wait, inService));
    // Nobody else deploys here, so this is an attempt of ours whose answer was lost; what serves is compared below.
    const isAsked = this.choice('IsEndpointAsked')
      .when(condition('$contains($cause, /already exist|in-progress/i)'), wait)
      .otherwise(this.exits.failure);
    const create = this.createEndpoint('CreateEndpoint', '$release').addCatch(isAsked, noted('create the endpoint'));
    const update = this.updateEndpoint('UpdateEndpoint', '$release').addCatch(isAsked, noted('update the endpoint'));
    // A variant that is a scalable target may not change its instance type; registering comes after the update.
    const pause = this.deregisterTarget('PauseAutoscaling')
      .addCatch(update, ignored('ApplicationAutoScaling.ObjectNotFoundException'))
      .addCatch(this.exits.failure, noted('pause autoscaling'));

    return this.choice('IsFirst', { asked: true })
      .when(condition('$there'), pause.next(update.next(wait)), { assign: { asked: true } })
      .otherwise(create.next(wait));
  }

  private lookAtRelease(busy: sfn.IChainable, inService: sfn.IChainable): sfn.IChainable {
    return this.describeEndpoint('LookAtRelease')
      .addCatch(this.exits.failure, noted('describe the endpoint'))
      .next(this.choice('SeeRelease', failure('EndpointFailed',
        "'the endpoint is ' & $status & ' with version ' & $string($version) & ': ' & $reason"))
        .when(condition(`$status in ${BUSY}`), busy)
        .when(condition("$status = 'InService' and $served = $release"), inService)
        .when(condition("$status = 'InService'"), this.exits.failure, {
          assign: failure('RolledBack', "'SageMaker rolled the endpoint back without saying so: it is in service with config ' & $served"
            + " & ' instead of ' & $release & ', which was asked for'"),
        })
        .otherwise(this.exits.failure));
  }

  private prove(proven: sfn.IChainable): sfn.IChainable {
    return this.smokePrediction()
      .addCatch(this.exits.failure, noted('ask for a smoke prediction'))
      .next(this.choice('IsSmokeGood', failure('SmokePredictionFailed', "'version ' & $string($version) & ' does not predict: ' & $problem"))
        .when(condition("$problem = ''"), proven)
        .otherwise(this.exits.failure));
  }

  private scale(scaled: sfn.IChainable): sfn.IChainable {
    return new Scaling(this, 'Scaling', this.settings).start('', scaled, this.exits.failure, noted('set up autoscaling'));
  }

  private createModel(): ServiceTask {
    const { modelRole, common: { network } } = this.settings;
    return new ServiceTask(this, 'CreateModel', {
      service: SAGEMAKER,
      action: 'createModel',
      parameters: {
        ModelName: expr('$release'),
        ExecutionRoleArn: modelRole.roleArn,
        // Not the package's own: jobs may write where those are. The tag keeps the link to the version.
        Containers: expr('[$containers]'),
        ...network ? { VpcConfig: network.vpcConfig } : {},
      },
      resources: this.models,
      passRole: { role: modelRole, service: 'sagemaker.amazonaws.com' },
      tags: { resourceType: 'AWS::SageMaker::Model', resources: this.models, own: { [MODEL_PACKAGE_TAG]: expr('$package') } },
    });
  }

  private createEndpointConfig(): ServiceTask {
    const { instanceType, instanceCount } = this.settings.capacity._settings();
    const { encryptionKey } = this.settings.common;
    return new ServiceTask(this, 'CreateEndpointConfig', {
      service: SAGEMAKER,
      action: 'createEndpointConfig',
      parameters: {
        EndpointConfigName: expr('$release'),
        ProductionVariants: [{
          VariantName: VARIANT,
          ModelName: expr('$release'),
          InstanceType: instanceType,
          InitialInstanceCount: instanceCount,
          InitialVariantWeight: 1,
        }],
        ...encryptionKey ? { KmsKeyId: encryptionKey.keyArn } : {},
      },
      resources: this.configs,
      tags: { resourceType: 'AWS::SageMaker::EndpointConfig', resources: this.configs },
    });
  }

  private smokePrediction(): tasks.LambdaInvoke {
    return this.invoke('SmokePrediction', this.settings.smoke, { endpointName: this.settings.endpointName }, {
      problem: expr(orElse('$states.result.Payload.problem', "''")),
    });
  }
}
