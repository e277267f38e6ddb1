import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { causeOf, StateError } from './cause.lambda-shared';
import type { Ingestion } from './ingestion.lambda-shared';
import { warnOf } from './warnings.lambda-shared';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

export interface UnnotifiedRequest {
  readonly executionArn: string;
  readonly state: { readonly ingestion?: Ingestion; readonly notificationError: StateError };
}

/** Makes visible that nobody was told how the processing of a data set ended. */
export async function handler({ executionArn, state }: UnnotifiedRequest): Promise<void> {
  await warnOf(table, executionArn, state.ingestion?.id, `nobody was notified: ${causeOf(state.notificationError)}`);
}
