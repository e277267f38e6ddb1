export { AutoscaledCapacityOptions, Capacity, FixedSizeCapacityOptions } from './capacity';
export * from './inference-endpoint';
