export * from './column';
export { DatasetSchema, ProblemType } from './schema';
export { DataSplit, ValidationRules } from './data-rules';
export * from './data-pipeline';
export { DataPipelineAttributes, IDataPipeline } from './data-pipeline-base';
export * from './training-target';
