import { IConstruct } from 'constructs';

/**
 * What the rehearsal learns of an app, from the cloud assembly alone: each construct adds one metadata entry to its
 * node. CDK references in it arrive as `{ Ref }` or `{ 'Fn::GetAtt' }`, which the rehearsal resolves against the stack.
 * The command line imports these types, so that both sides agree.
 */
export interface RehearsalFacts {
  'cdk-mlops:data-pipeline': {
    /** Name of the bucket to upload to, and the prefix that triggers. */
    readonly bucket: string;
    readonly rawPrefix: string;
    readonly processedPrefix: string;
    readonly quarantinePrefix: string;
    readonly reportsPrefix: string;
    readonly stateMachineArn: string;
    /** Table of data sets (one item a manifest). */
    readonly tableName: string;
    readonly schema: unknown;
    /** The pipeline that it starts, if any. */
    readonly pipelineName?: string;
  };
  'cdk-mlops:training-pipeline': {
    readonly pipelineName: string;
    /** The group that it registers models in. */
    readonly modelPackageGroupName: string;
    /** The gate's limits: where the metric stands in evaluation.json and which pipeline parameter holds the limit. */
    readonly gate: { readonly metric: string; readonly path: string; readonly parameter: string; readonly operator: '<=' | '>=' }[];
  };
  'cdk-mlops:model-registry': {
    readonly modelPackageGroupName: string;
    readonly tableName: string;
    readonly bucket: string;
  };
  'cdk-mlops:inference-endpoint': {
    readonly endpointName: string;
    /** The group whose approved versions it serves. */
    readonly modelPackageGroupName: string;
    readonly stateMachineArn: string;
    readonly schema: unknown;
  };
  'cdk-mlops:api': {
    readonly url: string;
    readonly access: 'cognito' | 'iam' | 'open';
    /** What it answers, such as `GET /models`. */
    readonly routes: string[];
    /** Names of what it serves: data sets, training pipelines, model package groups, endpoints. */
    readonly serves: { readonly [part in 'data' | 'training' | 'registry' | 'endpoint']: string[] };
    /** Names of the parameters of each training pipeline that callers may set. */
    readonly trainingParameters: { readonly pipeline: string; readonly names: string[] }[];
    readonly userPoolId?: string;
    readonly userPoolClientId?: string;
    /** Cognito group that may approve models. */
    readonly approverGroup?: string;
  };
}

/** Tells the rehearsal what `construct` is and where its parts are. */
export function describeForRehearsal<K extends keyof RehearsalFacts>(construct: IConstruct, kind: K, facts: RehearsalFacts[K]): void {
  construct.node.addMetadata(kind, facts);
}
