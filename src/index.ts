export * from './shared/probe';
