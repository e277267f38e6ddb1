import * as fs from 'fs';
import * as path from 'path';
import { ABALONE, assembly, rehearse, testFolder } from './command';

interface Statement {
  Action: string | string[];
}

interface Resource {
  readonly Type: string;
  readonly Properties: { readonly PolicyDocument: { Statement: Statement[] } };
}

/** A copy of the example's cloud assembly in which no policy whose logical id begins with `policy` allows `action`. */
function without(action: string, policy: string): string {
  const copy = path.join(testFolder(), `without-${action.replace(':', '-')}`);
  // Another rehearsal may hold a lock in it, which comes and goes.
  for (const name of fs.readdirSync(assembly()).filter((each) => !each.endsWith('.lock'))) {
    fs.cpSync(path.join(assembly(), name), path.join(copy, name), { recursive: true });
  }
  const file = path.join(copy, 'AbaloneDev.template.json');
  const template = JSON.parse(fs.readFileSync(file, 'utf8')) as { Resources: Record<string, Resource> };
  let taken = 0;
  for (const [id, { Type: type, Properties: properties }] of Object.entries(template.Resources)) {
    if (type === 'AWS::IAM::Policy' && id.startsWith(policy)) {
      const document = properties.PolicyDocument;
      document.Statement = document.Statement
        .map((statement) => {
          const actions = [statement.Action].flat();
          taken += actions.filter((each) => each === action).length;
          return { ...statement, Action: actions.filter((each) => each !== action) };
        })
        .filter((statement) => statement.Action.length > 0);
    }
  }
  expect(taken).toBeGreaterThan(0);
  fs.writeFileSync(file, JSON.stringify(template));
  return copy;
}

describe('one grant less', () => {
  test.each([
    { action: 'dynamodb:UpdateItem', policy: 'DataFunctionsManifestRole', step: 'data', role: /Manifest/ },
    { action: 'sagemaker:CreateTrainingJob', policy: 'TrainingRole', step: 'training', role: /TrainingRole/ },
    { action: 'sagemaker:CreateEndpointConfig', policy: 'EndpointDeployRole', step: 'endpoint', role: /EndpointDeployRole/ },
  ])('fails at the step "$step" without $action, and names role and action', async ({ action, policy, step, role }) => {
    const { exitCode, document } = await rehearse(`without-${step}`, '--app', without(action, policy), '--data', ABALONE);
    expect({ exitCode, step: document.failure?.step }).toEqual({ exitCode: 1, step });
    const told = [document.failure!.message, ...document.failure!.log].join('\n');
    expect(told).toContain(action);
    expect(told).toMatch(role);
  });
});
