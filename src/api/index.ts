export * from './api-access';
export * from './mlops-api';
export * from './served-model';
