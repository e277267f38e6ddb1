export * from './inference-endpoint';
