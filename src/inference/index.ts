export * from './inference-endpoint';
export { IInferenceEndpoint, InferenceEndpointAttributes } from './inference-endpoint-base';
