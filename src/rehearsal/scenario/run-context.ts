import { ApiClient } from './api-client';
import { AppParts } from '../app/app-parts';
import { Cdk } from '../app/cdk';
import { RehearseOptions } from '../command/options';
import { AwsClients } from '../emulator/aws-clients';
import { Emulator } from '../emulator/emulator';

/** What the steps after the deployment work with. */
export interface RunContext {
  readonly options: RehearseOptions;
  readonly emulator: Emulator;
  readonly cdk: Cdk;
  readonly aws: AwsClients;
  readonly parts: AppParts;
  /** Absent: the app has no API. */
  readonly api?: ApiClient;
}
