import { awscdk, javascript } from 'projen';

/** Lambda handlers run on Node 24; the library and its command line run on Node 20 and later. */
const HANDLER_TARGET = 'node24';
const CLI_TARGET = 'node20';

const project = new awscdk.AwsCdkConstructLibrary({
  name: 'cdk-mlops',
  description: 'A complete MLOps platform on AWS from CDK constructs, rehearsed on one machine before it is deployed',
  keywords: ['aws', 'aws-cdk', 'mlops', 'sagemaker', 'glue', 'machine-learning', 'model-registry'],
  author: 'The cdk-mlops maintainers',
  authorAddress: 'maintainers@cdk-mlops.example',
  authorOrganization: true,
  repositoryUrl: 'https://github.com/cdk-mlops/cdk-mlops.git',
  license: 'Apache-2.0',
  copyrightOwner: 'The cdk-mlops maintainers',
  defaultReleaseBranch: 'main',
  packageManager: javascript.NodePackageManager.NPM,
  projenrcTs: true,
  jsiiVersion: '~6.0.0',
  cdkVersion: '2.270.0',
  constructsVersion: '10.5.1',
  minNodeVersion: '20.0.0',
  publishToPypi: { distName: 'cdk-mlops', module: 'cdk_mlops' },

  // Nothing runs on a forge: tests and releases are commands.
  github: false,
  release: false,
  depsUpgrade: false,
  pullRequestTemplate: false,
  buildWorkflow: false,
  npmignoreEnabled: false, // the package is an allow-list: `files` below

  // Handlers are found and bundled by the `bundle` task below, the AWS SDK with them.
  lambdaAutoDiscover: false,
  integrationTestAutoDiscover: false,

  devDeps: [
    '@aws-cdk/cloud-assembly-schema@54', // a peer of aws-cdk-lib 2.270 that npm does not install by itself
    '@aws-crypto/sha256-js',
    '@aws-lambda-powertools/logger',
    '@aws-sdk/client-application-auto-scaling',
    '@aws-sdk/client-cloudformation',
    '@aws-sdk/client-cognito-identity-provider',
    '@aws-sdk/client-dynamodb',
    '@aws-sdk/client-eventbridge',
    '@aws-sdk/client-iam',
    '@aws-sdk/client-s3',
    '@aws-sdk/client-sagemaker',
    '@aws-sdk/client-sagemaker-runtime',
    '@aws-sdk/client-sfn',
    '@aws-sdk/client-sns',
    '@aws-sdk/client-sqs',
    '@aws-sdk/lib-dynamodb',
    '@smithy/signature-v4',
    '@swc/core@1.16.18', // pinned with unrs-resolver below: the newest of which there is a build for every platform that the lock file names
    '@swc/jest',
    '@types/aws-lambda',
    'aws-sdk-client-mock',
    'aws-cdk@2.1148.1',
    'cdk-nag@^3',
    'esbuild',
    'fast-check',
    'playwright-core@1.64.1', // drives Debian's chromium
    'tsx',
  ],

  tsconfigDev: { compilerOptions: { isolatedModules: false } },
  jestOptions: {
    updateSnapshot: javascript.UpdateSnapshot.NEVER,
    junitReporting: false,
    coverageText: false,
    jestConfig: {
      maxWorkers: 2,
      globalSetup: '<rootDir>/test/setup.ts',
      globalTeardown: '<rootDir>/test/clean.ts',
      collectCoverage: false,
    },
  },
  eslintOptions: { dirs: ['src'], devdirs: ['test', 'examples'], fileExtensions: ['.ts'], prettier: false },
  gitignore: ['/assets/handlers/', '/assets/rehearsal/cli.js', 'cdk.out/', '__pycache__/', '.pytest_cache/', '.ruff_cache/', '.mypy_cache/', '.hypothesis/', '/rehearsal-report.html'],
});

project.package.addPackageResolutions('unrs-resolver@1.12.2');

project.eslint?.addRules({
  '@typescript-eslint/no-explicit-any': 'error',
  'import/no-cycle': 'error',
  'max-len': ['error', { code: 150, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
});

// Types are checked by the compiler; the tests are only translated.
project.jest!.config.transform = { '^.+\\.ts$': '@swc/jest' };
project.tryFindObjectFile('package.json')?.addOverride('jest.testMatch', ['<rootDir>/test/**/*.test.ts']);

// What is bundled is not a dependency of the package.
project.eslint?.addOverride({
  files: ['src/**/*.lambda.ts', 'src/**/*.lambda-shared.ts', 'src/rehearsal/**/*.ts'],
  rules: { 'import/no-extraneous-dependencies': 'off' },
});

project.eslint?.addOverride({ files: ['test/apps/*/app.ts', 'test/rehearsal/*/app.ts'], rules: { 'import/no-extraneous-dependencies': 'off' } });

// The package: the compiled library, what runs on AWS, and the rehearsal; npm adds README.md, LICENSE and package.json. Whatever
// else lies in these folders stays there: tests, sources of bundles, logs, caches.
project.package.addField('files', [
  '/.jsii', '/API.md',
  '/lib/**/*.js', '/lib/**/*.d.ts', '!/lib/rehearsal', '!/lib/**/*.lambda.*',
  '/assets/handlers/**/index.js',
  '/assets/**/*.py', '!test_*.py', '!conftest.py', '!testing.py', '!fake_host.py',
  '/assets/rehearsal/cli.js', '/assets/rehearsal/requirements*.txt', '/assets/rehearsal/README.md',
  '/assets/rehearsal/emulator/ministack/contract.json', '/assets/rehearsal/emulator/glue/awsglue_standin/README.md',
  '/assets/rehearsal/emulator/sagemaker/containers/README.md',
]);
project.package.addField('workspaces', ['examples/*']);
project.addBins({ 'cdk-mlops': 'assets/rehearsal/cli.js' });

const bundle = project.addTask('bundle', { description: 'Bundle the Lambda handlers and the command line' });
bundle.exec(`esbuild "src/**/*.lambda.ts" --bundle --platform=node --target=${HANDLER_TARGET} --minify --log-level=warning --outbase=src --outdir=assets/handlers --entry-names=[dir]/[name]/index`);
bundle.exec(`esbuild src/rehearsal/cli.ts --bundle --platform=node --target=${CLI_TARGET} --minify --log-level=warning "--banner:js=#!/usr/bin/env node" --outfile=assets/rehearsal/cli.js`);
bundle.exec('chmod 755 assets/rehearsal/cli.js');
project.preCompileTask.spawn(bundle);

// Names that a target language reserves are errors too. jsii leaves what it compiled of files that are gone; the package holds all of lib.
project.compileTask.reset('jsii --fail-on-warnings');
project.compileTask.prependExec("node -e \"require('fs').rmSync('lib', { recursive: true, force: true })\"");

// `npm pack` builds what is missing or older than its sources; of what `npx projen build` has made, nothing is made again.
const prepack = project.addTask('prepack', { description: 'Build what the package lacks' });
prepack.spawn(bundle, { condition: 'node projenrc/is-older.mjs assets/rehearsal/cli.js assets/handlers -- src' });
prepack.spawn(project.compileTask, { condition: 'node projenrc/is-older.mjs .jsii lib -- src package.json README.md' });
// jsii-pacmak would write an .npmignore; `files` above says what ships.
['package:js', 'package:python'].forEach((name) => project.tasks.tryFind(name)!.env('JSII_PACMAK_NPMIGNORE', 'false'));

project.tasks.tryFind('docgen')?.reset('node test/api-reference.mjs API.md');

const rehearse = project.addTask('rehearse', { description: 'Deploy the example to an emulator on this machine and run it on real data' });
rehearse.spawn(project.preCompileTask);
rehearse.spawn(project.compileTask);
rehearse.exec('node assets/rehearsal/cli.js rehearse --app examples/abalone --data examples/abalone/data/abalone.csv', { receiveArgs: true });

// All checks are one command, which compiles the library beside those that do without.
project.testTask.reset();
project.testTask.spawn(project.preCompileTask);
project.testTask.exec('node test/all.mjs', { receiveArgs: true });
const testFull = project.addTask('test:full', { description: 'Run tests, and those that take long' });
testFull.spawn(project.preCompileTask);
testFull.exec('node test/all.mjs --full', { receiveArgs: true });
project.removeTask('test:watch');
project.removeTask('test:update');
project.removeTask('clobber');

const bench = project.addTask('bench', { description: 'Print what a synth of the example costs' });
bench.spawn(project.preCompileTask);
bench.spawn(project.compileTask);
bench.exec('node test/bench/synth.mjs', { receiveArgs: true });

project.synth();
