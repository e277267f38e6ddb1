import { GetCommand, paginateScan } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { DATASET } from './shapes';

/** An item of the table of data sets. */
export interface DatasetItem {
  readonly id: string;
  readonly status?: string;
  readonly createdAt?: string;
  readonly [attribute: string]: unknown;
}

/** Every data set, newest first; equal times by id, so that the order is always the same. */
export async function allDatasets(client: DynamoDBDocumentClient, table: string): Promise<DatasetItem[]> {
  // The table is keyed by content alone and holds one small item an upload: read whole, it costs one unit for some twenty of them.
  const items: DatasetItem[] = [];
  for await (const page of paginateScan({ client }, { TableName: table })) {
    items.push(...(page.Items ?? []) as DatasetItem[]);
  }
  return items.sort(newestFirst);
}

/** One data set, as it is now. */
export async function dataset(client: DynamoDBDocumentClient, table: string, id: string): Promise<DatasetItem | undefined> {
  const { Item } = await client.send(new GetCommand({ TableName: table, Key: { id }, ConsistentRead: true }));
  return Item as DatasetItem | undefined;
}

/** A data set as callers get it. */
export function toResponse(item: DatasetItem): { readonly [attribute: string]: unknown } {
  return Object.fromEntries(Object.keys(DATASET.properties).filter((name) => item[name] !== undefined).map((name) => [name, item[name]]));
}

/** Orders by time of creation, newest first. */
export function newestFirst(a: DatasetItem, b: DatasetItem): number {
  return compare(String(b.createdAt ?? ''), String(a.createdAt ?? '')) || compare(String(a.id), String(b.id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
