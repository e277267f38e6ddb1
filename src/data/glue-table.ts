import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { DataAccess } from './data-access';
import { Prefix } from './environment';
import type { GlueNetwork } from './glue-network';
import { catalogName } from './schema';
import type { ColumnDocument, SchemaDocument } from './schema-document';

export interface GlueTableProps {
  readonly schema: SchemaDocument;
  readonly bucket: s3.IBucket;
  readonly access: DataAccess;
  /** What the keys of the data pipeline begin with. */
  readonly prefix: string;
  readonly crawlRawData: boolean;
  readonly network?: GlueNetwork;
}

/** Athena and others find the processed data here: a table that is declared, not guessed, with nothing to keep up to date. */
export class GlueTable extends Construct {
  public readonly database: glue.Database;
  public readonly table: glue.S3Table;
  public readonly crawlerName?: string;

  constructor(scope: Construct, id: string, props: GlueTableProps) {
    super(scope, id);
    this.database = new glue.Database(this, 'Database', { description: `Data of ${props.schema.name}` });
    // Entries of a catalog can be made again at any time; the data they describe are kept by the bucket.
    this.database.applyRemovalPolicy(RemovalPolicy.DESTROY);
    this.table = this.processedTable(props);
    if (props.crawlRawData) {
      this.crawlerName = this.crawler(props);
    }
  }

  private processedTable({ schema, bucket, prefix }: GlueTableProps): glue.S3Table {
    return new glue.S3Table(this, 'Processed', {
      database: this.database,
      tableName: `${catalogName(schema.name)}_processed`,
      description: `${schema.name}, cleaned and split: one data set per manifest id`,
      storage: glue.S3TableStorage.fromBucket(bucket),
      s3Prefix: `${prefix}${Prefix.PROCESSED}`,
      columns: schema.columns.filter((column) => column.role !== 'none').map((column) => ({
        name: catalogName(column.name), type: typeOf(column), comment: column.description,
      })),
      partitionKeys: [
        { name: 'manifest_id', type: glue.Schema.STRING, comment: 'Given in each query' },
        { name: 'split', type: glue.Schema.STRING },
      ],
      dataFormat: new glue.DataFormat({
        inputFormat: glue.InputFormat.TEXT,
        outputFormat: glue.OutputFormat.HIVE_IGNORE_KEY_TEXT,
        // Reads an empty cell of a number as NULL, where the serde for quoted CSV fails.
        serializationLibrary: glue.SerializationLibrary.LAZY_SIMPLE,
      }),
      storageParameters: [glue.StorageParameter.skipHeaderLineCount(1), glue.StorageParameter.custom('field.delim', ',')],
      parameters: {
        'projection.enabled': 'true',
        'projection.manifest_id.type': 'injected',
        'projection.split.type': 'enum',
        'projection.split.values': 'train,validation,test',
        'storage.location.template': `s3://${bucket.bucketName}/${prefix}${Prefix.PROCESSED}\${manifest_id}/\${split}/`,
      },
    });
  }

  /** Looks at the raw files and writes down what it thinks they are: to compare with what was declared. */
  private crawler({ schema, bucket, prefix, access, network }: GlueTableProps): string {
    const role = new iam.Role(this, 'CrawlerRole', { assumedBy: new iam.ServicePrincipal('glue.amazonaws.com') });
    access.read(role, Prefix.RAW);
    access.list(role, Prefix.RAW);
    network?.grantUse(role);
    const stack = Stack.of(this);
    const glueArn = (resource: string, resourceName?: string) => stack.formatArn({ service: 'glue', resource, resourceName });
    role.addToPrincipalPolicy(new iam.PolicyStatement({
      actions: [
        'glue:GetDatabase', 'glue:GetTable', 'glue:GetTables', 'glue:CreateTable', 'glue:UpdateTable',
        'glue:GetPartition', 'glue:GetPartitions', 'glue:BatchGetPartition', 'glue:BatchCreatePartition', 'glue:UpdatePartition',
      ],
      resources: [glueArn('catalog'), this.database.databaseArn, glueArn('table', `${this.database.databaseName}/*`)],
    }));
    role.addToPrincipalPolicy(new iam.PolicyStatement({
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [stack.formatArn({ service: 'logs', resource: 'log-group', arnFormat: ArnFormat.COLON_RESOURCE_NAME, resourceName: '/aws-glue/crawlers:*' })],
    }));
    const crawler = new glue.CfnCrawler(this, 'Crawler', {
      role: role.roleArn,
      databaseName: this.database.databaseName,
      tablePrefix: `${catalogName(schema.name)}_`,
      targets: { s3Targets: [{ path: `s3://${bucket.bucketName}/${prefix}${Prefix.RAW}`, connectionName: network?.connection.connectionName }] },
      schemaChangePolicy: { updateBehavior: 'LOG', deleteBehavior: 'LOG' },
    });
    crawler.node.addDependency(role);
    return crawler.ref;
  }
}

function typeOf(column: ColumnDocument): glue.Type {
  switch (column.kind) {
    case 'numeric': return glue.Schema.DOUBLE;
    case 'integer': return glue.Schema.BIG_INT;
    case 'boolean': return glue.Schema.BOOLEAN;
    default: return glue.Schema.STRING;
  }
}
