import { Duration, IgnoreMode, Names } from 'aws-cdk-lib';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { DataAccess } from './data-access';
import { Prefix } from './environment';
import type { GlueNetwork } from './glue-network';
import type { SchemaDocument } from './schema-document';
import { assetPath, jsonAsset } from '../shared/assets';
import type { CommonSettings } from '../shared/common-settings';
import { ServiceLogGroup } from '../shared/service-log-group';

export interface SparkJobsProps {
  readonly settings: CommonSettings;
  readonly network?: GlueNetwork;
  readonly schema: SchemaDocument;
  readonly access: DataAccess;
  readonly workerConfiguration: glue.WorkerConfiguration;
  readonly timeout: Duration;
  readonly maxConcurrentRuns: number;
  readonly role?: iam.IRole;
  readonly validateArguments: { [name: string]: string };
  readonly preprocessArguments: { [name: string]: string };
}

/** Spark 3.5.6, Python 3.11, Java 17: what the tests and the rehearsal run too. */
const GLUE_VERSION = glue.GlueVersion.V5_1;

/** The two Spark jobs on Glue, each with a role of its own that reaches only what the job reads and writes. */
export class SparkJobs extends Construct {
  public readonly validate: glue.IJob;
  public readonly preprocess: glue.IJob;
  private readonly schema: s3assets.Asset;
  private readonly modules: s3assets.Asset;

  constructor(scope: Construct, id: string, private readonly props: SparkJobsProps) {
    super(scope, id);
    this.schema = jsonAsset(this, 'Schema', props.schema);
    this.modules = new s3assets.Asset(this, 'Modules', {
      path: assetPath('glue'),
      // The entry scripts are assets of their own; tests stay at home.
      exclude: ['*', '!tabular/', '!tabular/*.py'],
      ignoreMode: IgnoreMode.GIT,
    });
    const { access } = props;

    const validateRole = this.jobRole('ValidateRole');
    access.write(validateRole, Prefix.REPORTS);
    this.validate = this.job('Validate', 'validate', validateRole, `Checks raw ${props.schema.name} data against their contract`, props.validateArguments);

    const preprocessRole = this.jobRole('PreprocessRole');
    access.write(preprocessRole, Prefix.REPORTS, Prefix.PROCESSED);
    // Spark looks what is there, commits what it wrote, and clears what an earlier run left.
    access.read(preprocessRole, Prefix.PROCESSED);
    access.delete(preprocessRole, Prefix.PROCESSED);
    access.seeWhetherThere(preprocessRole);
    this.preprocess = this.job('Preprocess', 'preprocess', preprocessRole, `Cleans and splits ${props.schema.name} data`, props.preprocessArguments);
  }

  /** What both jobs need: to read the raw data, the manifest and the contract. */
  private jobRole(id: string): iam.IRole {
    const role = this.props.role ?? new iam.Role(this, id, { assumedBy: new iam.ServicePrincipal('glue.amazonaws.com') });
    this.props.access.read(role, Prefix.RAW, Prefix.MANIFESTS);
    this.props.access.list(role, Prefix.RAW);
    this.grantReadAsset(role, this.schema);
    this.grantReadAsset(role, this.modules);
    this.props.network?.grantUse(role);
    return role;
  }

  private job(id: string, name: string, role: iam.IRole, description: string, jobArguments: { [name: string]: string }): glue.IJob {
    const script = new s3assets.Asset(this, `${id}Script`, { path: assetPath('glue', `${name}.py`) });
    this.grantReadAsset(role, script);
    return new glue.PySparkEtlJob(this, id, {
      description,
      // The job would grant itself to list and describe the whole asset bucket.
      role: iam.Role.fromRoleArn(this, `${id}FixedRole`, role.roleArn, { mutable: false }),
      script: glue.Code.fromBucket(script.bucket, script.s3ObjectKey),
      extraPythonFiles: [glue.Code.fromBucket(this.modules.bucket, this.modules.s3ObjectKey)],
      glueVersion: GLUE_VERSION,
      workerConfiguration: this.props.workerConfiguration,
      connections: this.props.network && [this.props.network.connection],
      maxConcurrentRuns: this.props.maxConcurrentRuns,
      maxRetries: 0,
      timeout: this.props.timeout,
      // Metrics would need cloudwatch:PutMetricData on everything; the report has the numbers.
      enableMetrics: false,
      enableObservabilityMetrics: false,
      // The switch of Glue 4 and before; from 5.0 on logs always flow, to the groups below.
      continuousLogging: { enabled: false },
      defaultArguments: {
        '--schema': this.schema.s3ObjectUrl,
        // The whole data set is read each time: a bookmark would skip what it has seen.
        '--job-bookmark-option': 'job-bookmark-disable',
        '--custom-logGroup-prefix': this.logGroups(id, role),
        ...jobArguments,
      },
    });
  }

  /** Reads this one object: `asset.grantRead()` means the whole bucket of assets. */
  private grantReadAsset(role: iam.IRole, asset: s3assets.Asset): void {
    iam.Grant.addToPrincipal({ grantee: role, actions: ['s3:GetObject'], resourceArns: [asset.bucket.arnForObjects(asset.s3ObjectKey)] });
  }

  /** The two log groups that Glue derives from a prefix, made here so that their logs end some day. */
  private logGroups(id: string, role: iam.IRole): string {
    const prefix = `/aws-glue/jobs/${Names.uniqueResourceName(this, { maxLength: 200, separator: '-' })}-${id}`;
    for (const stream of ['Error', 'Output']) {
      const group = new ServiceLogGroup(this, `${id}${stream}Logs`, {
        ...this.props.settings,
        logGroupName: `${prefix}/${stream.toLowerCase()}`,
      });
      group.grantWrite(role);
    }
    return prefix;
  }
}
