import * as fs from 'fs';
import * as path from 'path';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { SCHEMA_FILE } from './environment';
import { answerProblem, shorten, smokeRows } from './smoke.lambda-shared';
import type { SchemaDocument } from '../data/schema-document';

const ATTEMPTS = 3;

export interface SmokeRequest {
  readonly endpointName: string;
}

export interface SmokeResult {
  /** A sentence; absent when the model predicts. */
  readonly problem?: string;
  readonly answer?: string;
}

/** Asks an endpoint for predictions that every model of the schema must be able to make. */
export function smokeHandler(schema: () => SchemaDocument, client: SageMakerRuntimeClient, pauseMillis = 2_000) {
  return async ({ endpointName }: SmokeRequest): Promise<SmokeResult> => {
    const document = schema();
    const rows = smokeRows(document);
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await client.send(new InvokeEndpointCommand({
          EndpointName: endpointName,
          ContentType: 'text/csv',
          Accept: 'text/csv',
          Body: Buffer.from(rows.map((row) => `${row}\n`).join('')),
        }));
        const answer = Buffer.from(response.Body ?? new Uint8Array()).toString('utf8');
        return { problem: answerProblem(document, rows.length, answer), answer: shorten(answer) };
      } catch (error) {
        // The first requests to fresh containers may fail. What the model itself says is kept: it is what one needs to know.
        if (attempt < ATTEMPTS && isModelError(error)) {
          await new Promise((resolve) => setTimeout(resolve, pauseMillis));
          continue;
        }
        if (isModelError(error)) {
          const said = (error as { OriginalMessage?: string }).OriginalMessage ?? error.message;
          return { problem: `the model answered the smoke prediction with an error: ${shorten(said)}` };
        }
        throw error;
      }
    }
  };
}

function isModelError(error: unknown): error is Error {
  return error instanceof Error && ['ModelError', 'ModelNotReadyException', 'InternalDependencyException'].includes(error.name);
}

export const handler = smokeHandler(
  () => JSON.parse(fs.readFileSync(path.join(__dirname, SCHEMA_FILE), 'utf8')) as SchemaDocument,
  new SageMakerRuntimeClient({ maxAttempts: 5 }),
);
