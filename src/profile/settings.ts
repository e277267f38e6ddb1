import { Construct } from 'constructs';
import type { CommonProps } from './common-props';
import { StageProfile } from './stage-profile';
import type { CommonSettings } from '../shared/common-settings';
import { allowLogs } from '../shared/encryption';
import { Network } from '../shared/network';
import { warnOfRegion } from '../shared/regions';

/** What a construct goes by: its own props before those of its profile. */
export interface Settings extends CommonSettings {
  readonly profile: StageProfile;
}

/** Settles what a construct goes by. Every construct writes logs, so that its key serves CloudWatch Logs too, and lives in a region. */
export function settingsOf(scope: Construct, props: CommonProps): Settings {
  const profile = props.profile ?? StageProfile.of();
  warnOfRegion(scope);
  if (props.encryptionKey) {
    allowLogs(scope, props.encryptionKey);
  }
  return {
    profile,
    logRetention: props.logRetention ?? profile.logRetention,
    encryptionKey: props.encryptionKey,
    network: Network.of(scope, props),
  };
}
