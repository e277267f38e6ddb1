import * as fs from 'fs';
import * as path from 'path';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { ApiEnvironment, SCHEMA_FILE } from './environment';
import { Answer, environment, HttpRequest, idOf, jsonBody, serve } from './http.lambda-shared';
import { endpointFailure, instancesOf, Prediction, predictionsOf, requestCsv } from './predictions.lambda-shared';
import type { SchemaDocument } from '../data/schema-document';
import { logger } from '../shared/logger.lambda-shared';

/** Leaves time to answer before API Gateway gives up. */
const ENDPOINT_TIMEOUT = 25_000;

// One client, and no other: each further one adds 50 to 100 ms to a cold start.
const runtime = new SageMakerRuntimeClient({ maxAttempts: 2 });
let contract: SchemaDocument | undefined;

/** `POST /inference/predict` */
export const handler = serve({ 'POST /inference/predict': predict });

async function predict(request: HttpRequest): Promise<Answer> {
  const endpoint = environment(ApiEnvironment.ENDPOINT_NAME);
  contract ??= JSON.parse(fs.readFileSync(path.join(__dirname, SCHEMA_FILE), 'utf8')) as SchemaDocument;
  const instances = instancesOf(contract, jsonBody(request));
  const answered = await invoke(endpoint, requestCsv(contract, instances));
  let predictions: Prediction[];
  try {
    predictions = predictionsOf(contract, answered.text, instances.length);
  } catch (error) {
    logger.error('the answer of the endpoint is not readable', error as Error);
    throw endpointFailure({ name: 'ModelError' }) ?? error;
  }
  return {
    status: 200,
    body: { predictions, model: { endpoint, ...(answered.variant ? { variant: answered.variant } : {}) }, requestId: idOf(request) },
  };
}

async function invoke(endpoint: string, csv: string): Promise<{ text: string; variant?: string }> {
  try {
    const output = await runtime.send(new InvokeEndpointCommand({
      EndpointName: endpoint, ContentType: 'text/csv', Accept: 'text/csv', Body: Buffer.from(csv),
    }), { abortSignal: AbortSignal.timeout(ENDPOINT_TIMEOUT) });
    return { text: new TextDecoder().decode(output.Body), variant: output.InvokedProductionVariant };
  } catch (error) {
    const known = endpointFailure(error);
    if (known) {
      logger.error('the endpoint failed', error as Error);
    }
    throw known ?? error;
  }
}
