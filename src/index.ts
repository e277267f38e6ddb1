export * from './api';
export * from './data';
export * from './inference';
export * from './registry';
export * from './training';
