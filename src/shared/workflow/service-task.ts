import { Aws, Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { KEEP_INPUT } from './jsonata';
import { callRetry, Service } from './services';
import { RunTimeTags } from '../run-time-tags';

/** Values of JSON that may hold JSONata expressions and tokens. */
export interface Fields { readonly [name: string]: unknown }

export interface ServiceTaskProps {
  readonly service: Service;
  /** Action in camel case, e.g. `createModel`. The IAM action of the same name is permitted. */
  readonly action: string;
  readonly parameters: Fields;
  /** Whether the task lasts until the job that it starts has ended. @default false */
  readonly waitsForJob?: boolean;
  /** Longest time of the task. @default - that of the execution */
  readonly timeout?: Duration;
  /**
   * ARNs that the action is permitted on.
   * @default - none: a grant method, called beside the task, permits it
   */
  readonly resources?: string[];
  /** Conditions of the permission. @default - none */
  readonly conditions?: { readonly [operator: string]: unknown };
  /** What the service asks IAM for as well when it gets this call. @default - nothing */
  readonly alsoPermits?: iam.PolicyStatement[];
  /** A role in the parameters, and the service that it is handed to. @default - none */
  readonly passRole?: { readonly role: iam.IRole; readonly service: string };
  /** Gives the tags of the app to what is made, and `own` ones: its type in CloudFormation, and ARNs that match it. @default - no tags */
  readonly tags?: { readonly resourceType: string; readonly resources: string[]; readonly own?: { readonly [key: string]: string } };
  /** Variables, from `$states.result`. @default - the result is dropped */
  readonly assign?: Fields;
  /** Whether the service's transient errors are tried again. Off where the first error is as good as the last. @default true */
  readonly retry?: boolean;
}

/**
 * A task that calls an action of a service, and the permissions that this one call needs. Its input is its output.
 *
 * `CallAwsService` takes the integration's name as prefix of the IAM action, which is another one for some services
 * (`applicationautoscaling`, `eventbridge`), and takes no conditions.
 */
export class ServiceTask extends sfn.TaskStateBase {
  protected readonly taskMetrics?: sfn.TaskMetricsConfig;
  protected readonly taskPolicies: iam.PolicyStatement[];
  private readonly tagged: Fields;

  constructor(scope: Construct, id: string, private readonly props: ServiceTaskProps) {
    super(scope, id, {
      queryLanguage: sfn.QueryLanguage.JSONATA,
      assign: props.assign,
      outputs: KEEP_INPUT,
      taskTimeout: props.timeout && sfn.Timeout.duration(props.timeout),
    });
    const { service, tags } = props;
    this.tagged = tags ? { Tags: new RunTimeTags(this, 'Tags', tags.resourceType).render(tags.own) } : {};
    this.taskPolicies = permissions(props);
    if (props.retry !== false) {
      this.addRetry(callRetry(service.transientErrors));
    }
  }

  /** @internal */
  protected _renderTask(): object {
    const { service, action, waitsForJob, parameters } = this.props;
    return {
      Resource: `arn:${Aws.PARTITION}:states:::${service.integration}:${action}${waitsForJob ? '.sync' : ''}`,
      Arguments: { ...parameters, ...this.tagged },
    };
  }
}

/** A statement that permits something. */
export function permit(actions: string[], resources: string[], conditions?: ServiceTaskProps['conditions']): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions, resources, conditions });
}

function permissions({ service, action, resources, conditions, alsoPermits, passRole, tags }: ServiceTaskProps): iam.PolicyStatement[] {
  const iamAction = `${service.iamPrefix}:${action[0].toUpperCase()}${action.slice(1)}`;
  return [
    ...(resources ? [permit([iamAction], resources, conditions)] : []),
    ...(passRole ? [permit(['iam:PassRole'], [passRole.role.roleArn], { StringEquals: { 'iam:PassedToService': passRole.service } })] : []),
    ...(tags ? [permit([`${service.iamPrefix}:AddTags`], tags.resources)] : []),
    ...alsoPermits ?? [],
  ];
}
