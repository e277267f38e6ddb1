import { Cdk } from '../assembly';
import { Aws } from '../aws';
import { Emulator } from '../emulator';
import { Cast } from '../facts';
import { RehearseOptions } from '../options';
import { ApiClient } from './api-client';

/** What the steps after the deployment work with. */
export interface World {
  readonly options: RehearseOptions;
  readonly emulator: Emulator;
  readonly cdk: Cdk;
  readonly aws: Aws;
  readonly cast: Cast;
  /** Absent: the app has no API. */
  readonly api?: ApiClient;
}
