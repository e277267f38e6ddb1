import {
  DescribeExecutionCommand, DescribeExecutionCommandOutput, HistoryEvent, ListExecutionsCommand, SFNClient, paginateGetExecutionHistory,
} from '@aws-sdk/client-sfn';
import { Step, poll } from './step-runner';
import { RehearsalError } from '../command/errors';

/** ARNs of all executions of a state machine. */
export async function executionsOf(client: SFNClient, stateMachineArn: string): Promise<string[]> {
  const { executions = [] } = await client.send(new ListExecutionsCommand({ stateMachineArn, maxResults: 1000 }));
  return executions.map(({ executionArn }) => executionArn!);
}

/** Waits for an execution that was not there before; something else starts it. */
export async function newExecution(client: SFNClient, step: Step, stateMachineArn: string, before: readonly string[], hint: string): Promise<string> {
  return poll(step.signal, async () => (await executionsOf(client, stateMachineArn)).find((arn) => !before.includes(arn)), {
    within: 60_000,
    otherwise: () => new RehearsalError(`no execution of ${nameIn(stateMachineArn)} began within 60 s: ${hint}`),
  });
}

/** Follows an execution to its end and shows the state that it is in. Each state becomes a span. */
export async function followExecution(client: SFNClient, step: Step, executionArn: string): Promise<DescribeExecutionCommandOutput> {
  const ended = await poll(step.signal, async () => {
    const execution = await client.send(new DescribeExecutionCommand({ executionArn }));
    if (execution.status !== 'RUNNING') {
      return execution;
    }
    const open = statesIn(await historyOf(client, executionArn)).filter(({ end }) => end === undefined);
    step.now(open.map(({ name }) => name).join(', '));
    return undefined;
  }, { every: 500 });
  for (const { name, start, end, failed } of statesIn(await historyOf(client, executionArn))) {
    const until = end ?? ended.stopDate ?? new Date();
    if (Number(until) - Number(start) > 50 || failed) {
      step.span(name, start, until, failed);
    }
  }
  return ended;
}

/** Why an execution failed: its state, error and cause. */
export async function failureOf(client: SFNClient, execution: DescribeExecutionCommandOutput): Promise<string> {
  const events = await historyOf(client, execution.executionArn!);
  const at = events.map((event) => event.type?.endsWith('Failed') === true && event.type !== 'ExecutionFailed').lastIndexOf(true);
  const state = events.slice(0, at + 1).reverse().find((event) => event.stateEnteredEventDetails)?.stateEnteredEventDetails?.name;
  const details = events[at] && Object.values(events[at]).find((value): value is { error?: string; cause?: string } =>
    typeof value === 'object' && value !== null && ('error' in value || 'cause' in value));
  const error = execution.error ?? details?.error ?? execution.status;
  const cause = plainCause(execution.cause ?? details?.cause ?? '');
  const first = plainCause(details?.cause ?? '');
  const origin = first && first !== cause && !cause.includes(first) ? ` (${details?.error}: ${first})` : '';
  return `${nameIn(execution.stateMachineArn ?? '')}${state ? `, state ${state}` : ''}: ${error}${cause ? `: ${cause}` : ''}${origin}`;
}

/** A cause is often the JSON of an error or of a whole job: its message. */
export function plainCause(cause: string): string {
  try {
    const parsed = JSON.parse(cause) as Record<string, unknown>;
    const message = parsed.errorMessage ?? parsed.ErrorMessage ?? parsed.FailureReason ?? parsed.message;
    return typeof message === 'string' ? message : cause.slice(0, 500);
  } catch {
    return cause.slice(0, 500);
  }
}

interface State {
  readonly name: string;
  readonly start: Date;
  readonly end?: Date;
  readonly failed: boolean;
}

/** States in the order in which they were entered, retries and parallel branches included. */
export function statesIn(events: readonly HistoryEvent[]): State[] {
  const states: { name: string; start: Date; end?: Date; failed: boolean }[] = [];
  for (const { stateEnteredEventDetails: entered, stateExitedEventDetails: exited, timestamp, type } of events) {
    if (entered?.name) {
      states.push({ name: entered.name, start: timestamp!, failed: type === 'FailStateEntered' });
    } else if (exited?.name) {
      const open = states.find((state) => state.name === exited.name && state.end === undefined);
      if (open) {
        open.end = timestamp;
      }
    } else if (type === 'ExecutionFailed' || type === 'ExecutionAborted' || type === 'ExecutionTimedOut') {
      states.filter(({ end }) => end === undefined).forEach((state) => Object.assign(state, { end: timestamp, failed: true }));
    }
  }
  return states;
}

async function historyOf(client: SFNClient, executionArn: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  for await (const page of paginateGetExecutionHistory({ client, pageSize: 1000 }, { executionArn, includeExecutionData: true })) {
    events.push(...page.events ?? []);
  }
  return events;
}

export function nameIn(arn: string): string {
  return arn.split(':').at(-1) ?? arn;
}
