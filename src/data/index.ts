export * from './column';
export { DatasetSchema, ProblemType } from './schema';
