import { Detail, echo, invalid, isObject, nameOf } from './http.lambda-shared';
import type { Caller } from './identity.lambda-shared';
import { DECISIONS, MAX_COMMENT, MODEL } from './shapes';
import { LINEAGE } from '../registry/catalog.lambda-shared';

export type Decision = typeof DECISIONS[number];

/** Limit of SageMaker for the description of an approval, of which a part is kept for who decided. */
const MAX_DESCRIPTION = 1024;

/** An item of the catalog. */
export type CatalogItem = { readonly [attribute: string]: unknown };

/** A model version as callers get it. `serving`: the items that say what serves. */
export function toResponse(group: string, item: CatalogItem, serving: readonly CatalogItem[]): CatalogItem {
  const endpoints = serving.filter((entry) => serves(entry, item)).map((entry) => String(entry.sk));
  return {
    group,
    ...Object.fromEntries(Object.keys(MODEL.properties).filter((name) => item[name] !== undefined).map((name) => [name, item[name]])),
    serving: endpoints.length > 0,
    ...(endpoints.length > 0 ? { endpoints } : {}),
  };
}

/** The version of a path; 400 when it is none. */
export function versionOf(text: string | undefined): number {
  if (!/^[1-9]\d{0,8}$/.test(text ?? '')) {
    const message = `version must be a whole number from 1, not ${JSON.stringify(echo(text ?? ''))}`;
    throw invalid(message, [{ field: 'version', value: echo(text), allowed: { min: 1 }, message }]);
  }
  return Number(text);
}

/** The decision of a request body; 400 with everything that is wrong with it. */
export function decisionOf(body: { readonly [field: string]: unknown }): { readonly status: Decision; readonly comment?: string } {
  const details: Detail[] = [];
  const status = DECISIONS.find((decision) => decision === body.status);
  if (!status) {
    const found = body.status === undefined ? 'it is missing' : `not ${JSON.stringify(echo(body.status))}`;
    details.push({ field: 'status', value: echo(body.status), allowed: DECISIONS, message: `status must be "Approved" or "Rejected", ${found}` });
  }
  const comment = body.comment ?? undefined;
  if (comment !== undefined && typeof comment !== 'string') {
    details.push({ field: 'comment', value: echo(comment), message: `comment must be a text, not ${nameOf(comment)}` });
  } else if (comment !== undefined && comment.length > MAX_COMMENT) {
    details.push({ field: 'comment', allowed: { maxLength: MAX_COMMENT }, message: `comment must have at most ${MAX_COMMENT} characters, not ${comment.length}` });
  }
  if (!status || details.length > 0) {
    throw invalid(details.map((detail) => detail.message).join('; '), details);
  }
  return { status, ...(comment ? { comment: comment as string } : {}) };
}

/** What SageMaker keeps with the approval: who decided, and why. One line, because its pattern knows no line ends. */
export function approvalDescription(caller: Caller, status: Decision, comment?: string): string {
  const line = `${status} by ${caller.name} through the API${comment ? `: ${comment}` : ''}`;
  return line.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, MAX_DESCRIPTION);
}

/** Metadata of a version with who decided; characters that SageMaker does not take there are replaced. */
export function decidedBy(metadata: { readonly [key: string]: string } | undefined, caller: Caller): { [key: string]: string } {
  const name = caller.name.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_').slice(0, 256);
  return { ...metadata, [LINEAGE.approvedBy]: name };
}

function serves(entry: CatalogItem, item: CatalogItem): boolean {
  return isObject(entry) && (entry.modelPackageArn !== undefined && item.modelPackageArn !== undefined
    ? entry.modelPackageArn === item.modelPackageArn
    : entry.version !== undefined && entry.version === item.version);
}
