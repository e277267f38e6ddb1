import { Stack } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { scalingAlarms } from './arns';
import { DeployStates } from './deploy-states';
import type { Autoscaling } from '../../profile/capacity';
import { alarmArn } from '../../shared/arns';
import { permit, ServiceTask } from '../../shared/workflow/service-task';

const SERVICE = 'sagemaker.application-autoscaling.amazonaws.com';

/**
 * Registers the variant as a scalable target; nothing where the capacity is fixed. Application Auto Scaling acts with its own
 * service-linked role, but checks that the caller might do the same.
 */
export class Scaling extends DeployStates {
  /** @param suffix of the states' names: the workflow scales in two places */
  public start(suffix: string, next: sfn.IChainable, onError: sfn.IChainable, catchProps: sfn.CatchProps): sfn.IChainable {
    const { autoscaling } = this.settings.capacity._settings();
    return autoscaling === undefined ? next : this.registerTarget(`RegisterTarget${suffix}`, autoscaling)
      .addCatch(onError, catchProps)
      .next(this.putScalingPolicy(`PutScalingPolicy${suffix}`, autoscaling)
        .addCatch(onError, catchProps)
        .next(next));
  }

  private registerTarget(id: string, { minCapacity, maxCapacity }: Autoscaling): ServiceTask {
    const serviceLinkedRole = Stack.of(this).formatArn({
      service: 'iam', region: '', resource: 'role', resourceName: `aws-service-role/${SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint`,
    });
    return this.scalableTarget(id, 'registerScalableTarget', { MinCapacity: minCapacity, MaxCapacity: maxCapacity }, [
      permit(['sagemaker:DescribeEndpoint', 'sagemaker:UpdateEndpointWeightsAndCapacities'], this.endpoint),
      permit(['sagemaker:DescribeEndpointConfig'], this.configs),
      permit(['iam:CreateServiceLinkedRole'], [serviceLinkedRole], { StringLike: { 'iam:AWSServiceName': SERVICE } }),
    ]);
  }

  private putScalingPolicy(id: string, { invocationsPerInstance, scaleOutSeconds, scaleInSeconds }: Autoscaling): ServiceTask {
    return this.scalableTarget(id, 'putScalingPolicy', {
      PolicyName: `${this.settings.prefix}-invocations`,
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: invocationsPerInstance,
        PredefinedMetricSpecification: { PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
        ScaleOutCooldown: scaleOutSeconds,
        ScaleInCooldown: scaleInSeconds,
      },
    }, [
      permit(['cloudwatch:DeleteAlarms', 'cloudwatch:PutMetricAlarm'], [scalingAlarms(this, this.settings.endpointName)]),
      permit(['cloudwatch:DescribeAlarms'], [alarmArn(this, '*')]),
    ]);
  }
}
