import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { allDatasets, newestFirst, toResponse } from './datasets.lambda-shared';
import { Answer, HttpRequest } from './http.lambda-shared';
import { pageOf, tokenOf } from './paging.lambda-shared';
import { selected } from './selection.lambda-shared';
import { serve } from './serve.lambda-shared';

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));

/** `GET /datasets` */
export const handler = serve('datasets', { 'GET /datasets': datasets });

async function datasets(request: HttpRequest): Promise<Answer> {
  const { limit, after } = pageOf(request, ['createdAt', 'id']);
  const all = await allDatasets(client, selected('data', request).table);
  // By position in time, not by count: what was uploaded between two pages shifts nothing.
  const rest = after ? all.filter((item) => newestFirst({ id: after.id, createdAt: after.createdAt }, item) < 0) : all;
  const page = rest.slice(0, limit);
  const last = page[page.length - 1];
  return {
    status: 200,
    body: {
      datasets: page.map(toResponse),
      ...(rest.length > limit ? { nextToken: tokenOf({ createdAt: String(last.createdAt ?? ''), id: last.id }) } : {}),
    },
  };
}
