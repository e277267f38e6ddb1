export * from './api';
export * from './data';
export * from './inference';
export * from './profile';
export * from './references';
export * from './registry';
export * from './training';
