import { Duration } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DataAccess } from './data-access';
import { Env, Prefix } from './environment';
import { ITrainingTarget } from './training-target';
import { executionArns } from '../shared/arns';
import type { CommonSettings } from '../shared/common-settings';
import { grantTableKey } from '../shared/encryption';
import { HandlerFunction } from '../shared/handler-function';

export interface IngestionFunctionsProps {
  readonly settings: CommonSettings;
  readonly datasetName: string;
  readonly access: DataAccess;
  /** What the keys of the data pipeline begin with. */
  readonly prefix: string;
  readonly datasetTable: dynamodb.ITableV2;
  readonly training?: ITrainingTarget;
}

/** The Lambda functions of the workflow, each with what it needs and no more. */
export class IngestionFunctions extends Construct {
  public readonly manifest: lambda.IFunction;
  public readonly verdict: lambda.IFunction;
  public readonly startTraining?: lambda.IFunction;
  public readonly finish: lambda.IFunction;
  public readonly unnotified: lambda.IFunction;

  constructor(scope: Construct, id: string, private readonly props: IngestionFunctionsProps) {
    super(scope, id);
    this.manifest = this.manifestFunction();
    this.verdict = this.verdictFunction();
    this.startTraining = props.training ? this.startTrainingFunction(props.training) : undefined;
    this.finish = this.finishFunction();
    this.unnotified = this.unnotifiedFunction();
  }

  /**
   * The manifest function asks whether the execution that holds a data set still runs, and whether its own does. A policy of its own: in the
   * role's default policy the function would wait for the state machine, which waits for the function.
   */
  public grantSeeExecutions(stateMachine: sfn.StateMachine): void {
    new iam.Policy(this, 'SeeExecutions', {
      roles: [this.manifest.role!],
      statements: [new iam.PolicyStatement({
        actions: ['states:DescribeExecution'],
        resources: [executionArns(this, stateMachine.stateMachineName)],
      })],
    });
  }

  private manifestFunction(): lambda.IFunction {
    const { access, prefix, datasetTable, datasetName } = this.props;
    const handler = new HandlerFunction(this, 'Manifest', {
      ...this.props.settings,
      handler: 'data/manifest',
      description: `Writes the manifest of an uploaded ${datasetName} file and claims it`,
      environment: { [Env.TABLE_NAME]: datasetTable.tableName, [Env.DATASET_NAME]: datasetName, [Env.PREFIX]: prefix },
    });
    access.read(handler, Prefix.RAW);
    access.seeWhetherThere(handler);
    access.write(handler, Prefix.MANIFESTS);
    this.grantTable(handler, 'dynamodb:GetItem', 'dynamodb:UpdateItem');
    return handler;
  }

  private verdictFunction(): lambda.IFunction {
    const { access, prefix, datasetTable, datasetName } = this.props;
    const handler = new HandlerFunction(this, 'Verdict', {
      ...this.props.settings,
      handler: 'data/verdict',
      description: `Reads what validation found in ${datasetName} data; moves invalid data to quarantine`,
      environment: { [Env.TABLE_NAME]: datasetTable.tableName, [Env.PREFIX]: prefix },
      // S3 copies a large file part by part.
      timeout: Duration.minutes(10),
    });
    access.read(handler, Prefix.RAW, Prefix.REPORTS);
    access.seeWhetherThere(handler);
    access.write(handler, Prefix.QUARANTINE);
    access.deleteVersions(handler, Prefix.RAW);
    this.grantTable(handler, 'dynamodb:UpdateItem');
    return handler;
  }

  private startTrainingFunction(training: ITrainingTarget): lambda.IFunction {
    const { access, datasetName } = this.props;
    const handler = new HandlerFunction(this, 'StartTraining', {
      ...this.props.settings,
      handler: 'data/start-training',
      description: `Starts training on ${datasetName} data that are ready`,
      environment: { [Env.PIPELINE_NAME]: training.pipelineName },
    });
    training.grantStartPipelineExecution(handler);
    access.read(training, Prefix.PROCESSED);
    access.list(training, Prefix.PROCESSED);
    return handler;
  }

  private finishFunction(): lambda.IFunction {
    const { datasetTable, datasetName } = this.props;
    const handler = new HandlerFunction(this, 'Finish', {
      ...this.props.settings,
      handler: 'data/finish',
      description: `Records how the processing of ${datasetName} data ended`,
      environment: { [Env.TABLE_NAME]: datasetTable.tableName },
    });
    this.grantTable(handler, 'dynamodb:UpdateItem');
    return handler;
  }

  private unnotifiedFunction(): lambda.IFunction {
    const { datasetTable, datasetName } = this.props;
    const handler = new HandlerFunction(this, 'Unnotified', {
      ...this.props.settings,
      handler: 'data/unnotified',
      description: `Records that nobody was notified of ${datasetName} data`,
      environment: { [Env.TABLE_NAME]: datasetTable.tableName },
    });
    this.grantTable(handler, 'dynamodb:UpdateItem');
    return handler;
  }

  private grantTable(grantee: iam.IGrantable, ...actions: string[]): void {
    this.props.datasetTable.grant(grantee, ...actions);
    grantTableKey(this.props.datasetTable, grantee, actions);
  }
}
