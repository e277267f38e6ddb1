import * as path from 'path';
import { GetRolePolicyCommand, IAMClient, ListRolePoliciesCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { deploy, Deployed, outputsOf, ROOT } from '../rehearsal/command';

interface DatasetItem {
  readonly id: string;
  readonly status: string;
  readonly warnings?: string[];
}

describe('data pipelines that share a bucket and a topic with a customer key', () => {
  let deployed: Deployed;
  let outputs: Record<string, string>;
  let iam: IAMClient;
  let sqs: SQSClient;

  beforeAll(async () => {
    deployed = await deploy('shared', path.join(ROOT, 'test', 'apps', 'shared'));
    const { aws } = deployed.context;
    iam = new IAMClient(aws.options);
    sqs = new SQSClient(aws.options);
    outputs = await outputsOf(aws, 'Shared');
  });

  afterAll(async () => {
    [iam, sqs].forEach((client) => client?.destroy());
    await deployed?.end();
  });

  test('each takes its own files alone, and people are told', async () => {
    await Promise.all([upload('cats', csv('tail', 0)), upload('dogs', csv('ears', 0))]);
    const [[cats], [dogs]] = await Promise.all([ended('Cats', 1), ended('Dogs', 1)]);
    expect([cats.status, dogs.status, cats.warnings, dogs.warnings]).toEqual(['SUCCEEDED', 'SUCCEEDED', undefined, undefined]);
    const messages = [await message(), await message()].sort();
    expect(messages).toEqual([expect.stringContaining('cats/raw/data.csv: 20 rows'), expect.stringContaining('dogs/raw/data.csv: 20 rows')]);
    const folders = new Set((await keys()).map((key) => key.split('/').slice(0, 2).join('/')));
    expect([...folders].sort()).toEqual(['cats', 'dogs'].flatMap((prefix) => ['manifests', 'processed', 'raw', 'reports'].map((folder) => `${prefix}/${folder}`)));
  });

  test('bad data of one go to its own quarantine', async () => {
    await upload('dogs', csv('tail', 1));
    const items = await ended('Dogs', 2);
    expect(items.map(({ status }) => status).sort()).toEqual(['QUARANTINED', 'SUCCEEDED']);
    expect(await message()).toContain('/dogs/quarantine/');
    expect((await keys()).filter((key) => key.includes('quarantine/')).every((key) => key.startsWith('dogs/quarantine/'))).toBe(true);
  });

  test('without the permission on the key nobody is told: the denial counts, and the data set says so', async () => {
    await takeKey(outputs.CatsRole.split('/').pop()!);
    await upload('cats', csv('tail', 2));
    const told = (await ended('Cats', 2, ({ warnings }) => warnings !== undefined)).filter(({ warnings }) => warnings !== undefined);
    expect(told).toEqual([expect.objectContaining({ status: 'SUCCEEDED', warnings: [expect.stringMatching(/nobody was notified: .*kms:GenerateDataKey/s)] })]);
    const { denials } = await deployed.context.emulator.report();
    expect(denials).toContainEqual(expect.objectContaining({ action: 'kms:GenerateDataKey', principal: expect.stringContaining('CatsWorkflowRole') }));
  });

  /** 20 rows with a feature of this name, which differ from those of other numbers. */
  function csv(feature: string, number: number): string {
    return [`${feature},age`, ...Array.from({ length: 20 }, (_, row) => `${row + number / 10},${row}`)].join('\n');
  }

  async function upload(prefix: string, Body: string): Promise<void> {
    await deployed.context.aws.s3.send(new PutObjectCommand({ Bucket: outputs.BucketName, Key: `${prefix}/raw/data.csv`, Body }));
  }

  /** The data sets of a pipeline, once there are so many that have ended, and one that is as wanted. */
  async function ended(id: string, count: number, wanted: (item: DatasetItem) => boolean = () => true): Promise<DatasetItem[]> {
    for (const end = Date.now() + 180_000; ;) {
      const { Items = [] } = await deployed.context.aws.dynamo.send(new ScanCommand({ TableName: outputs[`${id}Table`], ConsistentRead: true }));
      const items = (Items as DatasetItem[]).filter(({ status }) => status !== 'RUNNING');
      if (items.length >= count && items.some(wanted)) {
        return items;
      }
      if (Date.now() > end) {
        throw new Error(`not ended: ${JSON.stringify(Items)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  async function message(): Promise<string> {
    for (const end = Date.now() + 30_000; Date.now() < end;) {
      const { Messages: [first] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: outputs.QueueUrl, WaitTimeSeconds: 1 }));
      if (first) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl: outputs.QueueUrl, ReceiptHandle: first.ReceiptHandle }));
        return first.Body!;
      }
    }
    throw new Error('no message came');
  }

  async function keys(): Promise<string[]> {
    const { Contents = [] } = await deployed.context.aws.s3.send(new ListObjectsV2Command({ Bucket: outputs.BucketName }));
    return Contents.map(({ Key }) => Key!);
  }

  /** Takes the statements about keys out of the inline policies of a role. */
  async function takeKey(RoleName: string): Promise<void> {
    const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
    let taken = 0;
    for (const PolicyName of PolicyNames) {
      const { PolicyDocument } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
      const policy = JSON.parse(decodeURIComponent(PolicyDocument!)) as { Version: string; Statement: { Action: string | string[] }[] };
      const kept = policy.Statement.filter(({ Action }) => ![Action].flat().some((action) => action.startsWith('kms:')));
      taken += policy.Statement.length - kept.length;
      await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument: JSON.stringify({ ...policy, Statement: kept }) }));
    }
    expect(taken).toBeGreaterThan(0);
  }
});
