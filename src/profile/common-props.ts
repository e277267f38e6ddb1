import * as logs from 'aws-cdk-lib/aws-logs';
import { StageProfile } from './stage-profile';

/** What every construct takes beside its own props. */
export interface CommonProps {
  /**
   * What differs between the stages of an app. A single prop comes before it.
   * @default StageProfile.of()
   */
  readonly profile?: StageProfile;

  /**
   * How long logs are kept.
   * @default - as the profile says
   */
  readonly logRetention?: logs.RetentionDays;
}
