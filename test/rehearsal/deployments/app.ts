// A registry and an endpoint without a training pipeline: models come from the test itself.
import { App, Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import { Capacity, Column, DatasetSchema, InferenceEndpoint, ModelRegistry } from 'cdk-mlops';

const stack = new Stack(new App(), 'Deployments');
const schema = DatasetSchema.of('parts', [
  Column.categorical('kind', { values: ['bolt', 'nut'] }),
  Column.numeric('weight', { min: 0, max: 10, maxMissing: 0.5 }),
  Column.target('age', { min: 0, max: 100 }),
]);
const registry = new ModelRegistry(stack, 'Models', { removalPolicy: RemovalPolicy.DESTROY });
new InferenceEndpoint(stack, 'Endpoint', {
  schema,
  registry,
  capacity: Capacity.autoscaled({ minCapacity: 2, maxCapacity: 3, invocationsPerInstance: 600 }),
  pollInterval: Duration.seconds(1),
  deploymentTimeout: Duration.minutes(40),
});
// What the workflow makes carries it too, which takes a permission.
Tags.of(stack).add('team', 'parts');
