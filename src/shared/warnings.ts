/** The metric that counts what failed beside the matter in hand: the work went on without it, and somebody has to look. */
export const WARNINGS = { namespace: 'cdk-mlops', metricName: 'Warnings', dimension: 'StateMachineName' } as const;
