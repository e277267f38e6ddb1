import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { documentIn } from './document-file.lambda-shared';
import { Answer, HttpRequest, idOf, jsonBody } from './http.lambda-shared';
import { endpointFailure, instancesOf, Prediction, predictionsOf, requestCsv } from './predictions.lambda-shared';
import { selected } from './selection.lambda-shared';
import { serve } from './serve.lambda-shared';
import type { SchemaDocument } from '../data/schema-document';
import { logger } from '../shared/logger.lambda-shared';

/** Leaves time to answer before API Gateway gives up. */
const ENDPOINT_TIMEOUT = 25_000;

// One client, and no other: each further one adds 50 to 100 ms to a cold start.
const runtime = new SageMakerRuntimeClient({ maxAttempts: 2 });

/** `POST /inference/predict` */
export const handler = serve('predict', { 'POST /inference/predict': predict });

async function predict(request: HttpRequest): Promise<Answer> {
  const { name: endpoint, schemaFile } = selected('endpoint', request);
  const contract = documentIn<SchemaDocument>(schemaFile);
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
