export * from './api-access';
export * from './mlops-api';
