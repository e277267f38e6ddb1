// The CDK checks every synthesized template against the schemas of CloudFormation, which takes seconds a synth. Unit tests
// look at templates themselves; test/example.test.ts synthesizes the whole example with these checks and those of cdk-nag on.
process.env.CDK_VALIDATION ??= 'false';
