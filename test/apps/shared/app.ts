// Two data pipelines that share a bucket, and a topic that a customer key encrypts.
import { App, CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Column, DataPipeline, DatasetSchema } from 'cdk-mlops';

const stack = new Stack(new App(), 'Shared');
const removalPolicy = RemovalPolicy.DESTROY;
const bucket = new s3.Bucket(stack, 'Bucket', { removalPolicy, autoDeleteObjects: true, versioned: true });
const topic = new sns.Topic(stack, 'Topic', { masterKey: new kms.Key(stack, 'Key', { removalPolicy }) });
const queue = new sqs.Queue(stack, 'Queue');
topic.addSubscription(new subscriptions.SqsSubscription(queue, { rawMessageDelivery: true }));

for (const [id, feature] of [['Cats', 'tail'], ['Dogs', 'ears']]) {
  const schema = DatasetSchema.of(id.toLowerCase(), [Column.numeric(feature), Column.target('age')]);
  const data = new DataPipeline(stack, id, { schema, bucket, prefix: id.toLowerCase(), topic, removalPolicy, rules: { minimumRows: 10 } });
  new CfnOutput(stack, `${id}Table`, { value: data.datasetTable.tableName });
  new CfnOutput(stack, `${id}Role`, { value: data.grantPrincipal.policyFragment.principalJson.AWS[0] });
}
new CfnOutput(stack, 'BucketName', { value: bucket.bucketName });
new CfnOutput(stack, 'QueueUrl', { value: queue.queueUrl });
