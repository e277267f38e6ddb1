import { Duration } from 'aws-cdk-lib';
import type { Problems } from '../../shared/validation';

/** Step Functions fails an execution that has more events. */
const MOST_EVENTS = 25_000;
/** Of all that happens once, tries again included. */
const ONCE = 1000;
/** Of one more look at the endpoint: a task (entered, scheduled, started, ended, exited), a choice and a wait (entered, exited). */
const PER_LOOK = 5 + 2 + 2;

/** Time between two looks at a lock that another deployment holds: three tasks, two choices and a wait have about three times the events. */
export function lockInterval(pollInterval: Duration): Duration {
  return Duration.seconds(3 * pollInterval.toSeconds());
}

/** A deployment that waits until its time-out must not die of its history before. */
export function checkHistory(problems: Problems, pollInterval: Duration, timeout: Duration): void {
  if (pollInterval.isUnresolved() || timeout.isUnresolved()) {
    return;
  }
  const [interval, longest] = [pollInterval, timeout].map((duration) => duration.toSeconds({ integral: false }));
  const looks = Math.floor((MOST_EVENTS - ONCE) / PER_LOOK);
  problems.check(interval <= 0 || longest <= looks * interval, () =>
    `pollInterval of ${interval} s and deploymentTimeout of ${longest} s: a deployment that waits so long makes about `
    + `${ONCE + PER_LOOK * Math.ceil(longest / interval)} events, and Step Functions takes ${MOST_EVENTS}; make pollInterval at least `
    + `${Math.ceil(longest / looks)} s, or deploymentTimeout at most ${Math.floor(looks * interval)} s`);
}
