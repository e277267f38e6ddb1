import { shorten } from './ingestion.lambda-shared';

/** An error as Step Functions tells it. */
export interface StateError {
  readonly Error?: string;
  readonly Cause?: string;
}

/** The sentence in an error of Step Functions: services wrap theirs in JSON, each in its own way. */
export function causeOf(error: StateError): string {
  const text = error.Cause ?? '';
  try {
    const cause = JSON.parse(text) as { errorMessage?: string; ErrorMessage?: string; JobName?: string; JobRunState?: string };
    const sentence = cause.errorMessage ?? cause.ErrorMessage;
    const job = cause.JobName ? `job ${cause.JobName} ended ${cause.JobRunState ?? 'in error'}: ` : '';
    return shorten(`${job}${sentence ?? text}`, 1000);
  } catch {
    return shorten(text || error.Error || 'unknown error', 1000);
  }
}
