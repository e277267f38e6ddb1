import { choice, expr, note, orElse, pass, States, task, text, wait } from './asl';
import { RELEASE_DIGITS } from './environment';
import { outcome } from './workflow-lock';
import { attributesOf, WorkflowSettings } from './workflow-settings';
import { servingKey } from '../registry/catalog.lambda-shared';

/** Status of an endpoint at which SageMaker is at work on it. */
export const BUSY = "['Creating', 'Updating', 'SystemUpdating', 'RollingBack', 'Deleting']";

/** Reads what an endpoint serves into variables. */
export const ENDPOINT_VARIABLES = {
  status: expr('$states.result.EndpointStatus'),
  served: expr(orElse('$states.result.EndpointConfigName', "''")),
  reason: expr(orElse('$states.result.FailureReason', "'no reason given'")),
};

/**
 * Whether and how to deploy. The endpoint serves the highest version that is approved:
 *
 * - a version that is no longer approved is left alone;
 * - a version below the one that serves is left alone too, so that late and repeated events change nothing, unless the one
 *   that serves is no longer approved: reject it and approve the older one again to go back;
 * - what already serves, with the same capacity, is not deployed again.
 */
export function decisionStates(settings: WorkflowSettings, deploy: string): States {
  const { sagemaker, dynamodb } = settings.services;
  return {
    Begin: pass({
      package: expr('$states.input.modelPackageArn'),
      release: expr(`${text(`${settings.prefix}-`)} & $substring($replace($uuid(), '-', ''), 0, ${RELEASE_DIGITS})`),
      there: false,
      status: '',
      served: '',
      previous: '',
      asked: false,
      restored: false,
      outcome: '',
      message: '',
      errorName: '',
      cause: '',
      version: 0,
    }, 'TakeLock'),
    DescribePackage: task({
      resource: `${sagemaker}:describeModelPackage`,
      args: { ModelPackageName: expr('$package') },
      assign: {
        version: expr(orElse('$states.result.ModelPackageVersion', '0')),
        approval: expr(orElse('$states.result.ModelApprovalStatus', "''")),
      },
      next: 'IsApproved',
      on: [note('IsPackageGone', 'describe the model package')],
    }),
    IsPackageGone: choice([{
      when: "$contains($cause, 'does not exist')",
      assign: outcome('SKIPPED', "$package & ' no longer exists'"),
      next: 'ReleaseLock',
    }], 'NoteFailure'),
    IsApproved: choice([{ when: "$approval = 'Approved'", next: 'ReadServing' }], 'ReleaseLock',
      outcome('SKIPPED', "'version ' & $string($version) & ' is not approved (any more): its status is ' & $approval")),
    ReadServing: task({
      resource: `${dynamodb}:getItem`,
      args: { TableName: settings.tableName, Key: attributesOf(servingKey(settings.modelPackageGroupName, settings.endpointName)), ConsistentRead: true },
      assign: {
        servingPackage: expr(orElse('$states.result.Item.modelPackageArn.S', "''")),
        servingVersion: expr('$exists($states.result.Item.version.N) ? $number($states.result.Item.version.N) : 0'),
        servingRelease: expr(orElse('$states.result.Item.release.S', "''")),
        servingCapacity: expr(orElse('$states.result.Item.capacity.S', "''")),
      },
      next: 'IsOlder',
      on: [note('NoteFailure', 'read what serves')],
    }),
    IsOlder: choice([{ when: '$servingVersion > $version', next: 'DescribeServing' }], 'LookAtEndpoint'),
    DescribeServing: task({
      resource: `${sagemaker}:describeModelPackage`,
      args: { ModelPackageName: expr('$servingPackage') },
      assign: { servingApproval: expr(orElse('$states.result.ModelApprovalStatus', "''")) },
      next: 'IsServingApproved',
      on: [note('IsServingGone', 'describe the model package that serves')],
    }),
    IsServingGone: choice([{ when: "$contains($cause, 'does not exist')", next: 'LookAtEndpoint' }], 'NoteFailure'),
    IsServingApproved: choice([{
      when: "$servingApproval = 'Approved'",
      assign: outcome('SKIPPED', "'version ' & $string($version) & ' is older than version ' & $string($servingVersion)"
        + " & ', which serves and is approved: reject that one first to go back'"),
      next: 'ReleaseLock',
    }], 'LookAtEndpoint'),
    LookAtEndpoint: task({
      resource: `${sagemaker}:describeEndpoint`,
      args: { EndpointName: settings.endpointName },
      assign: { there: true, ...ENDPOINT_VARIABLES },
      next: 'SeeEndpoint',
      // No retry: that an endpoint does not exist is an answer, and the error is the same as for throttling.
      retry: false,
      on: [note('IsEndpointAbsent', 'describe the endpoint', { there: false, served: '' })],
    }),
    IsEndpointAbsent: choice([
      { when: "$contains($cause, 'Could not find')", next: deploy },
      { when: '$contains($cause, /rate exceeded|throttl/i)', next: 'WaitForEndpoint' },
    ], 'NoteFailure'),
    SeeEndpoint: choice([
      { when: `$status in ${BUSY}`, next: 'WaitForEndpoint' },
      {
        when: "$status = 'InService' and $servingPackage = $package and $servingRelease = $served"
          + ` and $servingCapacity = ${text(settings.capacityText)}`,
        assign: outcome('ALREADY_SERVING', "'version ' & $string($version) & ' already serves'"),
        next: 'ReleaseLock',
      },
      { when: "$status in ['Failed', 'OutOfService']", next: 'DeleteBrokenEndpoint' },
    ], deploy, { previous: expr('$served') }),
    WaitForEndpoint: wait(settings.pollSeconds, 'LookAtEndpoint'),
    // Nothing else can be done with an endpoint that failed; the next look finds it deleting, then gone.
    DeleteBrokenEndpoint: task({
      resource: `${sagemaker}:deleteEndpoint`,
      args: { EndpointName: settings.endpointName },
      next: 'WaitForEndpoint',
      on: [note('NoteFailure', 'delete the endpoint that failed')],
    }),
  };
}
