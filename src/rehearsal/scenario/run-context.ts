import { ApiClient } from './api-client';
import { ModelParts } from '../app/app-parts';
import { Cdk } from '../app/cdk';
import { DeployedStack } from '../app/deployed-stacks';
import { RehearseOptions } from '../command/options';
import { AwsClients, AwsEnvironments } from '../emulator/aws-clients';
import { Emulator } from '../emulator/emulator';

/** What the steps after the deployment work with. */
export interface AppContext {
  readonly options: RehearseOptions;
  readonly emulator: Emulator;
  readonly cdk: Cdk;
  readonly environments: AwsEnvironments;
}

/** What the steps of one model work with. */
export interface RunContext extends AppContext {
  readonly parts: ModelParts;
  /** Of the account and region of the model. */
  readonly aws: AwsClients;
  /** The API that serves the model. Absent: the app has none. */
  readonly api?: ApiClient;
  /** The file that is uploaded. */
  readonly file?: string;
}

/** A deployed app: its stacks, and the models that are rehearsed, one after the other. */
export interface DeployedApp extends AppContext {
  readonly stacks: readonly DeployedStack[];
  readonly models: readonly RunContext[];
}
