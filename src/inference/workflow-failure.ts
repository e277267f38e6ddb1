import { choice, expr, ignore, pass, States, task, wait } from './asl';
import { BUSY, ENDPOINT_VARIABLES } from './workflow-decision';
import { history, scaling } from './workflow-release';
import { WorkflowSettings } from './workflow-settings';

/**
 * After a failure: what served before serves again, a first model that does not predict serves nobody, and the release
 * leaves nothing behind that the next one stumbles over.
 */
export function failureStates(settings: WorkflowSettings): States {
  const { sagemaker } = settings.services;
  const endpoint = { EndpointName: settings.endpointName };
  const restored = settings.capacity.autoscaling ? 'MayScaleAgain' : 'DropConfig';
  return {
    NoteFailure: pass({ outcome: '' }, 'IsEndpointTouched'),
    IsEndpointTouched: choice([{ when: '$asked', next: 'LookAfterFailure' }], 'DropConfig'),
    LookAfterFailure: task({
      resource: `${sagemaker}:describeEndpoint`,
      args: endpoint,
      assign: ENDPOINT_VARIABLES,
      next: 'SeeAfterFailure',
      retry: false,
      on: [{
        ErrorEquals: ['States.ALL'],
        Assign: { lookCause: expr("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''") },
        Output: expr('$states.input'),
        Next: 'IsAbsentAfterFailure',
      }],
    }),
    IsAbsentAfterFailure: choice([
      { when: '$contains($lookCause, /rate exceeded|throttl/i)', next: 'WaitAfterFailure' },
      { when: "$contains($lookCause, 'Could not find') and $previous != '' and $not($restored)", next: 'RecreateEndpoint' },
      { when: "$contains($lookCause, 'Could not find')", next: 'DropConfig' },
    ], 'RecordFailure'),
    SeeAfterFailure: choice([
      { when: `$status in ${BUSY}`, next: 'WaitAfterFailure' },
      { when: '$restored and $served = $previous', next: restored },
      { when: '$restored', next: 'RecordFailure' },
      { when: "$status = 'Failed' or ($served = $release and $previous = '')", next: 'WithdrawEndpoint' },
      { when: '$served = $release', next: 'RestoreEndpoint' },
    ], restored),
    WaitAfterFailure: wait(settings.pollSeconds, 'LookAfterFailure'),
    RestoreEndpoint: task({
      resource: `${sagemaker}:updateEndpoint`,
      args: { ...endpoint, EndpointConfigName: expr('$previous'), RetainAllVariantProperties: settings.capacity.autoscaling !== undefined },
      assign: { restored: true, cause: expr("$cause & '; the endpoint goes back to what it served before'") },
      next: 'WaitAfterFailure',
      on: [ignore('RecordFailure')],
    }),
    WithdrawEndpoint: task({
      resource: `${sagemaker}:deleteEndpoint`,
      args: endpoint,
      assign: { cause: expr("$cause & '; the endpoint was deleted'") },
      next: 'WaitAfterFailure',
      on: [ignore('RecordFailure')],
    }),
    RecreateEndpoint: task({
      resource: `${sagemaker}:createEndpoint`,
      args: { ...endpoint, EndpointConfigName: expr('$previous') },
      assign: { restored: true, cause: expr("$cause & ' and created again with what it served before'") },
      next: 'WaitAfterFailure',
      on: [ignore('RecordFailure')],
    }),
    ...(settings.capacity.autoscaling
      ? { MayScaleAgain: choice([{ when: "$status = 'InService'", next: 'RegisterTargetAgain' }], 'DropConfig') }
      : {}),
    ...scaling(settings, 'Again', 'DropConfig', [ignore('DropConfig')]),
    DropConfig: task({
      resource: `${sagemaker}:deleteEndpointConfig`,
      args: { EndpointConfigName: expr('$release') },
      next: 'DropModel',
      retry: false,
      on: [ignore('DropModel')],
    }),
    DropModel: task({
      resource: `${sagemaker}:deleteModel`,
      args: { ModelName: expr('$release') },
      next: 'RecordFailure',
      retry: false,
      on: [ignore('RecordFailure')],
    }),
    ...history(settings, 'RecordFailure', 'ReleaseLockAfterFailure'),
  };
}
