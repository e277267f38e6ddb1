export { ApiAccess, CognitoAccessOptions } from './api-access';
export * from './mlops-api';
