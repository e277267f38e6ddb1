import { createHash } from 'crypto';
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { ApiEnvironment, HANDLER_TIMEOUT_SECONDS } from './environment';
import { Answer, environment, HttpError, invalid, isObject, short } from './http.lambda-shared';
import { conditionHeld } from '../shared/conditional-write.lambda-shared';

/** How long an answer is given again. */
const KEPT_SECONDS = 24 * 60 * 60;
/** After this time a request without an answer is one whose handler was stopped. */
const AT_WORK_SECONDS = 2 * HANDLER_TIMEOUT_SECONDS;

/** What is known of a request under a key. */
interface Stored {
  readonly id: string;
  /** Hash of the request. */
  readonly request: string;
  /** Its answer, once there is one. */
  readonly answer?: Answer;
}

/**
 * The id of an idempotency key of a caller, in a scope of its own; 400 when the key is not one.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotencyId(key: string, caller: string, scope: string): string {
  if (key.trim() === '' || key.length > 255) {
    const message = 'the header idempotency-key must have 1 to 255 characters';
    throw invalid(message, [{ field: 'idempotency-key', value: short(key), message }]);
  }
  return hash([caller, scope, key]);
}

/**
 * Answers a request once: the first answer is stored and given again to equal requests with the same id. A request that failed is
 * forgotten, so that it can be repeated.
 *
 * @throws HttpError 422 when another request came under the id, 409 while the first one has no answer yet
 */
export async function once(tables: DynamoDBDocumentClient, id: string, request: unknown, act: () => Promise<Answer>): Promise<Answer> {
  const TableName = environment(ApiEnvironment.IDEMPOTENCY_TABLE);
  const fingerprint = hash(request);
  if (!await claim(tables, TableName, id, fingerprint)) {
    const { Item } = await tables.send(new GetCommand({ TableName, Key: { id }, ConsistentRead: true }));
    return earlierAnswer(Item as Stored | undefined, fingerprint);
  }
  let answer: Answer;
  try {
    answer = await act();
  } catch (error) {
    await tables.send(new DeleteCommand({ TableName, Key: { id } }));
    throw error;
  }
  await tables.send(new PutCommand({ TableName, Item: { id, request: fingerprint, answer, expiresAt: now() + KEPT_SECONDS } }));
  return answer;
}

/** True where the id is new, has expired, or is that of an equal request whose handler was stopped. */
async function claim(tables: DynamoDBDocumentClient, TableName: string, id: string, request: string): Promise<boolean> {
  return conditionHeld(tables.send(new PutCommand({
    TableName,
    Item: { id, request, atWorkUntil: now() + AT_WORK_SECONDS, expiresAt: now() + KEPT_SECONDS },
    ConditionExpression: 'attribute_not_exists(#id) OR #expiresAt < :now OR (#atWorkUntil < :now AND #request = :request)',
    ExpressionAttributeNames: { '#id': 'id', '#expiresAt': 'expiresAt', '#atWorkUntil': 'atWorkUntil', '#request': 'request' },
    ExpressionAttributeValues: { ':now': now(), ':request': request },
  })));
}

function earlierAnswer(stored: Stored | undefined, request: string): Answer {
  if (stored && stored.request !== request) {
    throw new HttpError(422, 'IdempotencyKeyReused', 'another request was sent under this idempotency key: take a new key for a new request');
  }
  if (!stored?.answer) {
    throw new HttpError(409, 'InProgress', 'a request with this idempotency key is being answered: try again in a few seconds', [], { 'retry-after': '2' });
  }
  return stored.answer;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

function hash(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

/** JSON whose objects have their keys in order: equal values give equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    (isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item));
}
