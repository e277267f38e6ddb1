import type { CommonProps } from './common-props';
import { StageProfile } from './stage-profile';
import type { CommonSettings } from '../shared/common-settings';

/** What a construct goes by: its own props before those of its profile. */
export interface Settings extends CommonSettings {
  readonly profile: StageProfile;
}

export function settingsOf(props: CommonProps): Settings {
  const profile = props.profile ?? StageProfile.of();
  return { profile, logRetention: props.logRetention ?? profile.logRetention };
}
