import { Duration } from 'aws-cdk-lib';
import type { Problems } from '../../shared/validation';

/** Of a job that says no other. */
export const MAX_RUNTIME = Duration.hours(1);
/** The most that SageMaker takes. */
export const LONGEST_TRAINING = Duration.days(28);
export const LONGEST_PROCESSING = Duration.days(9);

/** Jobs are stopped after whole seconds. */
export function checkRuntime(problems: Problems, name: string, value: Duration, longest?: Duration): void {
  if (!value.isUnresolved()) {
    const seconds = value.toSeconds({ integral: false });
    problems.check(Number.isInteger(seconds) && seconds >= 1 && seconds <= (longest?.toSeconds() ?? Infinity), () =>
      `${name} of ${seconds} s must be whole seconds, at least 1${longest ? ` and at most ${longest.toSeconds()}` : ''}`);
  }
}

/** Waiting for spot instances and training share one time. */
export function checkSpotMaxWait(problems: Problems, spotMaxWait: Duration, maxRuntime: Duration): void {
  if (!spotMaxWait.isUnresolved() && !maxRuntime.isUnresolved()) {
    const [wait, runtime] = [spotMaxWait, maxRuntime].map((duration) => duration.toSeconds({ integral: false }));
    problems.check(wait >= runtime, () =>
      `spotMaxWait of ${wait} s is shorter than maxRuntime of ${runtime} s, which is part of it; make it at least as long, or maxRuntime shorter`);
  }
}
