import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { StageProfile } from './stage-profile';

/** What every construct takes beside its own props. */
export interface CommonProps {
  /**
   * What differs between the stages of an app. A single prop comes before it.
   * @default StageProfile.of()
   */
  readonly profile?: StageProfile;

  /**
   * Customer key for whatever rests here: buckets, tables, topics, queues, logs and the volumes of jobs and endpoints. Each role gets what it
   * needs of it and no more. CloudWatch Logs and EventBridge get into the key's policy; a warning says what is missing where the key is
   * imported. Executions of Step Functions stay encrypted with a key of AWS.
   * @default - keys of AWS
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * VPC in which functions, jobs and models run. They reach S3, DynamoDB and the other services that they use through endpoints of the VPC
   * or a NAT gateway; functions that clean up when the stack goes reach CloudFormation's bucket for responses too.
   * @default - none: they run in networks of AWS
   */
  readonly vpc?: ec2.IVpc;

  /**
   * Subnets of the VPC.
   * @default - the private subnets
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Security groups of functions, jobs and models.
   * @default - one of its own, which lets everything out
   */
  readonly securityGroups?: ec2.ISecurityGroup[];

  /**
   * How long logs are kept.
   * @default - as the profile says
   */
  readonly logRetention?: logs.RetentionDays;
}
