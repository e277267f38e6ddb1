import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import { CatalogKind, catalogPartition } from './catalog.lambda-shared';
import { grantTableKey } from '../shared/encryption';

/** The part of a catalog that is of one model package group. */
export interface GroupCatalog {
  readonly modelPackageGroupName: string;
  readonly catalogTable: dynamodb.ITableV2;
}

/** Grants actions on the items of one group and of these kinds alone, since the table may hold other groups too. */
export function grantCatalog(
  { catalogTable, modelPackageGroupName }: GroupCatalog, grantee: iam.IGrantable, kinds: CatalogKind[], actions: string[],
): iam.Grant {
  const grant = iam.Grant.addToPrincipal({
    grantee,
    actions,
    resourceArns: [catalogTable.tableArn],
    conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': kinds.map((kind) => catalogPartition(kind, modelPackageGroupName)) } },
  });
  const key = grantTableKey(catalogTable, grantee, actions);
  return key ? grant.combine(key) : grant;
}
