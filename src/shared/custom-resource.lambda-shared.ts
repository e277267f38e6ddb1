import * as http from 'http';
import * as https from 'https';
import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse, Context } from 'aws-lambda';
import { logger } from './logger.lambda-shared';

/** What a custom resource of this library does. Each part may run more than once for one event. */
export interface CustomResourceParts {
  /** Name of the thing itself: CloudFormation deletes the old one when an update changes it. */
  physicalId(properties: Record<string, unknown>): string;
  create?(properties: Record<string, unknown>, time: Time): Promise<void>;
  update?(properties: Record<string, unknown>, time: Time): Promise<void>;
  delete(properties: Record<string, unknown>, time: Time): Promise<void>;
}

/** How long the handler may still work: a loop that waits asks before each turn. */
export interface Time {
  remainingMillis(): number;
}

/** Marks what was never made: CloudFormation sends a delete for it, which must touch nothing. */
export const NEVER_MADE = 'cdk-mlops:never-made';

/** Time kept for the answer to CloudFormation. */
const RESERVE_MILLIS = 5_000;
const ATTEMPTS = 4;

/**
 * A Lambda handler that answers CloudFormation itself: always exactly one answer, also after an error and shortly before
 * the function's own timeout, since a missing one blocks the stack for an hour.
 */
export function customResourceHandler(parts: CustomResourceParts, send: Send = sendResponse) {
  return async (event: CloudFormationCustomResourceEvent, context: Context): Promise<void> => {
    let answer: Pick<CloudFormationCustomResourceResponse, 'Status' | 'PhysicalResourceId' | 'Reason'>;
    try {
      const physicalId = await inTime(perform(parts, event, context), context.getRemainingTimeInMillis() - RESERVE_MILLIS);
      answer = { Status: 'SUCCESS', PhysicalResourceId: physicalId };
    } catch (error) {
      logger.appendKeys({ requestId: event.RequestId, requestType: event.RequestType });
      logger.error('custom resource failed', error instanceof Error ? error : String(error));
      answer = {
        Status: 'FAILED',
        PhysicalResourceId: event.RequestType === 'Create' ? NEVER_MADE : event.PhysicalResourceId,
        Reason: `${error instanceof Error ? error.message : String(error)} (log stream ${context.logStreamName})`.slice(0, 1_000),
      };
    }
    await send(event.ResponseURL, {
      ...answer,
      StackId: event.StackId,
      RequestId: event.RequestId,
      LogicalResourceId: event.LogicalResourceId,
    } as CloudFormationCustomResourceResponse);
  };
}

async function perform(parts: CustomResourceParts, event: CloudFormationCustomResourceEvent, context: Context): Promise<string> {
  const properties = event.ResourceProperties;
  const time: Time = { remainingMillis: () => context.getRemainingTimeInMillis() - 2 * RESERVE_MILLIS };
  switch (event.RequestType) {
    case 'Create':
      await parts.create?.(properties, time);
      return parts.physicalId(properties);
    case 'Update': {
      const physicalId = parts.physicalId(properties);
      // Another id is another thing: it is created here, and CloudFormation deletes the old one afterwards.
      await (physicalId === event.PhysicalResourceId ? parts.update : parts.create)?.(properties, time);
      return physicalId;
    }
    case 'Delete':
      if (event.PhysicalResourceId !== NEVER_MADE) {
        await parts.delete(properties, time);
      }
      return event.PhysicalResourceId;
  }
}

async function inTime<T>(work: Promise<T>, millis: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('not finished within the time of the function; try again')), Math.max(0, millis));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export type Send = (url: string, response: CloudFormationCustomResourceResponse) => Promise<void>;

/** Puts the answer where CloudFormation waits for it. */
export async function sendResponse(url: string, response: CloudFormationCustomResourceResponse): Promise<void> {
  const body = JSON.stringify(response);
  for (let attempt = 1; ; attempt++) {
    try {
      return await put(url, body);
    } catch (error) {
      if (attempt === ATTEMPTS) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
    }
  }
}

function put(url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    // The signed URL allows no content type.
    const headers = { 'content-type': '', 'content-length': Buffer.byteLength(body) };
    const request = (target.protocol === 'http:' ? http : https).request(target, { method: 'PUT', headers, timeout: 5_000 }, (response) => {
      response.resume();
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 300) {
          resolve();
        } else {
          reject(new Error(`the answer to CloudFormation was refused with status ${status}`));
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('the answer to CloudFormation took too long')));
    request.on('error', reject);
    request.end(body);
  });
}

/** Whether SageMaker says that a thing does not exist. It has no error of its own for that, only a sentence. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof Error)) {
    return false;
  }
  return /^(ResourceNotFound|ResourceNotFoundException|ValidationException)$/.test(error.name)
    && (error.name !== 'ValidationException' || /could not find|does not exist|not found|cannot find/i.test(error.message));
}
