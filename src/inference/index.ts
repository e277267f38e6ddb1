export { AutoscaledCapacityOptions, Capacity, FixedCapacityOptions } from './capacity';
export * from './inference-endpoint';
