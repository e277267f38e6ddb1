import { Annotations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { FoundStep, isObject, listOf, parameterOf, stepOfPath, stepsOf, textOf } from './definition-graph';
import { grantJobBasics } from './job-basics';
import type { StepContext } from './step-context';
import { STEP_KINDS } from './step-kinds';
import { ContainerImage } from '../references/container-image';
import { S3Location } from '../references/s3-location';
import type { IModelRegistry } from '../registry/model-registry';
import { forbidChangeOfVersions } from '../registry/version-copies';
import { modelPackageArns, queueArn, sageMakerArns } from '../shared/arns';
import { volumeKeyStatements } from '../shared/encryption';
import { interfaceStatements } from '../shared/network';
import type { Json, JsonObject } from '../shared/pipeline-tokens';

/** Names of what SageMaker makes for a pipeline: `pipelines-<execution id>-<step>-<suffix>`. */
const MADE_BY_PIPELINES = 'pipelines-*';

export interface DefinitionGrantsProps {
  /** The definition, its references rendered. */
  readonly definition: JsonObject;
  /** What it was rendered with: the things behind its texts. */
  readonly context: StepContext;
  /** Role of the pipeline. */
  readonly role: iam.IRole;
  /** What its models are registered in: neither the pipeline nor its jobs may change what was registered. */
  readonly registry: IModelRegistry;
  /** Parameters whose place is granted by whoever starts the pipeline. */
  readonly grantedByCaller: readonly string[];
}

/** Roles that a part of a step runs with, and how the definition names them. */
interface Grantees {
  readonly roles: readonly iam.IRole[];
  readonly name: string;
}

/**
 * Grants what a definition needs, read from its JSON, so that typed steps and those of JSON are treated alike: the role of the pipeline
 * starts, watches and stops what the steps make, passes the roles that they name, calls functions, sends to queues, registers models and
 * reads property files; the role of a job pulls its image, reads its inputs, writes its outputs, its log and its metrics, and gets into its
 * VPC. What cannot be
 * told from the JSON (a role or a place that only a run knows) is a warning that names the step and the permission.
 */
export class DefinitionGrants {
  private readonly steps: readonly FoundStep[];
  private readonly defaults: ReadonlyMap<string, string>;

  constructor(private readonly scope: Construct, private readonly props: DefinitionGrantsProps) {
    this.steps = stepsOf(props.definition);
    forbidChangeOfVersions(scope, props.registry, props.role);
    this.defaults = new Map(listOf(props.definition.Parameters).map(({ Name, DefaultValue }) => [textOf(Name), textOf(DefaultValue)]));
    this.steps.filter(({ type }) => type !== 'Condition' && type !== 'Fail').forEach((step) => this.grantStep(step));
    this.grantFilesOf('the definition', props.definition);
  }

  private grantStep(step: FoundStep): void {
    const { body, name, type } = step;
    const kind = STEP_KINDS[type];
    if (!kind) {
      this.warn(step.name, `steps of type ${type} are passed through: grant "${this.props.role.node.path}" what the step starts`);
    } else if (kind.makes) {
      const { api, arn, verbs } = kind.makes;
      this.grantPipeline([...verbs.map((verb) => `sagemaker:${verb}${api}`), 'sagemaker:AddTags'], sageMakerArns(this.scope, arn, MADE_BY_PIPELINES));
    }
    if (type === 'RegisterModel') {
      this.grantRegister(step);
      return;
    }
    if (body.FunctionArn !== undefined) {
      this.grantInvoke(step);
    }
    if (body.SqsQueueUrl !== undefined) {
      this.grantSend(step);
    }
    const args = isObject(body.Arguments) ? body.Arguments : {};
    this.walk(name, args, this.granteesOfModel(args), '');
  }

  /** Looks for what a job needs. The role that stands beside something is that which needs it. */
  private walk(step: string, value: Json, around: Grantees, path: string): void {
    if (Array.isArray(value)) {
      value.forEach((item) => this.walk(step, item, around, path));
      return;
    }
    if (!isObject(value) || 'Get' in value || 'Std:Join' in value || 'Std:JsonGet' in value) {
      return;
    }
    const role = value.RoleArn ?? value.ExecutionRoleArn;
    const grantees = role === undefined ? around : this.grantPass(step, role);
    for (const [key, item] of Object.entries(value)) {
      const at = `${path}.${key}`;
      if (/\.(S3Input|S3DataSource)\.S3Uri$|\.ModelDataUrl$/.test(at)) {
        this.grantPlace(step, item, grantees, 'read');
      } else if (/\.(S3Output|CheckpointConfig)\.S3Uri$|\.S3OutputPath$/.test(at)) {
        this.grantPlace(step, item, grantees, 'write');
      } else if (/\.(ImageUri|TrainingImage|Image)$/.test(at)) {
        this.grantPull(step, item, grantees);
      } else if (key === 'VolumeKmsKeyId') {
        this.grantVolumeKey(step, item);
      } else if (key === 'KmsKeyId') {
        this.grantOutputKey(step, item, grantees);
      } else if (key === 'VpcConfig') {
        this.grantInterfaces(step, item, grantees);
      } else if (/\.(DatasetDefinition|FileSystemDataSource)$/.test(at)) {
        this.warn(step, `${key} is passed through: grant ${grantees.name} what it reads`);
      } else {
        this.walk(step, item, grantees, at);
      }
    }
  }

  private grantPlace(step: string, uri: Json, { roles, name }: Grantees, access: 'read' | 'write'): void {
    const location = this.locationOf(uri);
    const actions = access === 'read' ? 's3:GetObject and s3:ListBucket' : 's3:PutObject';
    if (location === 'by the caller') {
      return;
    }
    if (!location || roles.length === 0) {
      this.warn(step, `${name} needs ${actions} on ${describe(uri)}`);
      return;
    }
    roles.forEach((role) => (access === 'read' ? location.grantRead(role) : location.grantWrite(role)));
  }

  /** What lies behind the text or the reference of a place. */
  private locationOf(uri: Json): S3Location | 'by the caller' | undefined {
    const known = this.props.context.locationOf(uri);
    const first = beginningOf(uri);
    if (typeof first === 'string') {
      return known ?? (/^s3:\/\/[^/]/.test(first) ? S3Location.fromUri(first) : undefined);
    }
    const path = isObject(first) ? textOf(first.Get) : '';
    const parameter = /^Parameters\.(.*)$/.exec(path)?.[1];
    if (parameter !== undefined) {
      const value = this.defaults.get(parameter);
      return value ? this.locationOf(value) : this.props.grantedByCaller.includes(parameter) ? 'by the caller' : undefined;
    }
    const source = this.placeOfStep(path);
    return source === undefined ? undefined : this.locationOf(source);
  }

  /** The place that a step declares in its arguments and tells in its Describe response. */
  private placeOfStep(path: string): Json {
    const { step: name, rest } = stepOfPath(path) ?? { step: '', rest: '' };
    const step = this.steps.find((other) => other.name === name);
    const declared = STEP_KINDS[step?.type ?? '']?.places?.[rest] ?? rest;
    return declared.split(/\.|(?=\[)/).reduce<Json>((value, part) => {
      const wanted = /^\['([^']*)'\]$/.exec(part)?.[1];
      if (wanted !== undefined) {
        return listOf(value).find((item) => item.OutputName === wanted || item.InputName === wanted);
      }
      return isObject(value) ? value[part] : undefined;
    }, step && isObject(step.body.Arguments) ? step.body.Arguments : undefined);
  }

  private grantPull(step: string, uri: Json, { roles, name }: Grantees): void {
    const text = typeof uri === 'string' ? uri : this.defaults.get(parameterOf(uri) ?? '');
    if (!text || roles.length === 0) {
      this.warn(step, `${name} needs to pull the image ${describe(uri)}: ecr:BatchGetImage and what belongs to it`);
      return;
    }
    const image = this.props.context.imageOf(text) ?? ContainerImage.fromUri(text);
    roles.forEach((role) => image.grantPull(this.scope, role));
  }

  /** Volumes are encrypted by SageMaker itself. See https://docs.aws.amazon.com/sagemaker/latest/dg/encryption-at-rest.html */
  private grantVolumeKey(step: string, key: Json): void {
    const arn = this.keyArnOf(key);
    if (arn) {
      volumeKeyStatements(arn).forEach((statement) => this.props.role.addToPrincipalPolicy(statement));
    } else {
      this.warn(step, `"${this.props.role.node.path}" needs kms:CreateGrant and kms:DescribeKey on the key ${describe(key)}`);
    }
  }

  /** Outputs are encrypted as the role of the job. */
  private grantOutputKey(step: string, key: Json, { roles, name }: Grantees): void {
    const actions = ['kms:GenerateDataKey*', 'kms:Decrypt'];
    const arn = this.keyArnOf(key);
    if (!arn || roles.length === 0) {
      this.warn(step, `${name} needs ${actions.join(' and ')} on the key ${describe(key)}`);
      return;
    }
    const known = this.props.context.keyOf(arn);
    roles.forEach((grantee) => known?.grant(grantee, ...actions) ?? iam.Grant.addToPrincipal({ grantee, actions, resourceArns: [arn] }));
  }

  /** Nothing for an id or an alias, which policies cannot name. */
  private keyArnOf(key: Json): string | undefined {
    const arn = typeof key === 'string' ? key : this.defaults.get(parameterOf(key) ?? '');
    return arn && (this.props.context.keyOf(arn) || arn.startsWith('arn:')) ? arn : undefined;
  }

  /** SageMaker attaches a job or a model to a VPC as its role. */
  private grantInterfaces(step: string, vpcConfig: Json, { roles, name }: Grantees): void {
    const { Subnets = [], SecurityGroupIds = [] } = isObject(vpcConfig) ? vpcConfig : {};
    const ids = [Subnets, SecurityGroupIds].map((list) => (Array.isArray(list) ? list.map(textOf) : ['']));
    if (ids.flat().includes('') || roles.length === 0) {
      this.warn(step, `${name} needs ec2:CreateNetworkInterface and what belongs to it in the subnets ${describe(Subnets)}`);
      return;
    }
    const [subnetIds, securityGroupIds] = ids;
    roles.forEach((role) => interfaceStatements(this.scope, 'sagemaker', subnetIds, securityGroupIds)
      .forEach((statement) => role.addToPrincipalPolicy(statement)));
  }

  /** The pipeline hands a role over. Returns who then needs what stands beside it. */
  private grantPass(step: string, role: Json): Grantees {
    const { context } = this.props;
    const parameter = parameterOf(role);
    const arn = typeof role === 'string' ? role : this.defaults.get(parameter ?? '');
    const named = parameter === undefined ? [] : context.namedRolesOf(step);
    const known = arn ? context.roleOf(arn) : undefined;
    const roles = [...new Set([...(known ? [known] : []), ...named])];
    const arns = [...new Set([...(arn ? [arn] : []), ...named.map(({ roleArn }) => roleArn)])];
    if (arns.length === 0) {
      this.warn(step, `"${this.props.role.node.path}" needs iam:PassRole on the role ${describe(role)}: name the roles by the option "roles"`);
      return { roles, name: `the role ${describe(role)}` };
    }
    this.grantPipeline(['iam:PassRole'], arns, { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } });
    roles.forEach((each) => {
      grantJobBasics(each, this.scope);
      forbidChangeOfVersions(this.scope, this.props.registry, each);
    });
    return { roles, name: `the role ${describe(role)}` };
  }

  /** A transform job reads and writes with the role of its model. */
  private granteesOfModel(args: JsonObject): Grantees {
    const model = isObject(args.ModelName) ? stepOfPath(textOf(args.ModelName.Get))?.step : undefined;
    const step = this.steps.find(({ name, type }) => name === model && type === 'Model');
    const role = step && isObject(step.body.Arguments) ? textOf(step.body.Arguments.ExecutionRoleArn) : '';
    const known = role ? this.props.context.roleOf(role) : undefined;
    return { roles: known ? [known] : [], name: role ? `the role ${role}` : args.ModelName ? `the role of the model ${describe(args.ModelName)}` : 'its role' };
  }

  private grantRegister({ name, body }: FoundStep): void {
    const args = isObject(body.Arguments) ? body.Arguments : {};
    const group = textOf(args.ModelPackageGroupName);
    const registry = this.props.context.registryOf(group);
    if (registry) {
      registry.grantRegister(this.props.role);
      this.imagesOf(args).forEach((image) => registry.addServingImage(image));
    } else if (group) {
      const groupName = group.startsWith('arn:') ? group.split('/').pop()! : group;
      this.grantPipeline(
        ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup'],
        [...modelPackageArns(this.scope, groupName), ...sageMakerArns(this.scope, 'model-package-group', groupName)],
      );
    } else {
      this.warn(name, `"${this.props.role.node.path}" needs sagemaker:CreateModelPackage on the group ${describe(args.ModelPackageGroupName)}`);
    }
  }

  private imagesOf(args: JsonObject): ContainerImage[] {
    const specification = isObject(args.InferenceSpecification) ? args.InferenceSpecification : {};
    return listOf(specification.Containers).map(({ Image }) => textOf(Image)).filter(Boolean)
      .map((uri) => this.props.context.imageOf(uri) ?? ContainerImage.fromUri(uri));
  }

  private grantInvoke({ name, body }: FoundStep): void {
    const arn = textOf(body.FunctionArn);
    const known = this.props.context.functionOf(arn);
    if (known) {
      known.grantInvoke(this.props.role);
    } else if (arn) {
      this.grantPipeline(['lambda:InvokeFunction'], [arn]);
    } else {
      this.warn(name, `"${this.props.role.node.path}" needs lambda:InvokeFunction on the function ${describe(body.FunctionArn)}`);
    }
  }

  private grantSend({ name, body }: FoundStep): void {
    const url = textOf(body.SqsQueueUrl);
    const known = this.props.context.queueOf(url);
    if (known) {
      known.grantSendMessages(this.props.role);
    } else if (url) {
      this.grantPipeline(['sqs:SendMessage'], [queueArn(this.scope, url)]);
    } else {
      this.warn(name, `"${this.props.role.node.path}" needs sqs:SendMessage on the queue ${describe(body.SqsQueueUrl)}`);
    }
  }

  /** The pipeline itself reads the files that conditions and messages take values from. */
  private grantFilesOf(step: string, value: Json): void {
    if (Array.isArray(value)) {
      value.forEach((item) => this.grantFilesOf(step, item));
      return;
    }
    if (!isObject(value)) {
      return;
    }
    const name = typeof value.Name === 'string' && value.Type ? value.Name : step;
    const file = value['Std:JsonGet'];
    if (isObject(file)) {
      const place = file.S3Uri ?? this.placeOfPropertyFile(file.PropertyFile);
      this.grantPlace(name, place, { roles: [this.props.role], name: `"${this.props.role.node.path}"` }, 'read');
    }
    Object.values(value).forEach((item) => this.grantFilesOf(name, item));
  }

  private placeOfPropertyFile(reference: Json): Json {
    const { step: name, rest } = stepOfPath(isObject(reference) ? textOf(reference.Get) : '') ?? { step: '', rest: '' };
    const step = this.steps.find((other) => other.name === name);
    const file = listOf(step?.body.PropertyFiles).find(({ PropertyFileName }) => `PropertyFiles.${textOf(PropertyFileName)}` === rest);
    return { Get: `Steps.${name}.ProcessingOutputConfig.Outputs['${textOf(file?.OutputName)}'].S3Output.S3Uri` };
  }

  private grantPipeline(actions: string[], resourceArns: string[], conditions?: Record<string, Record<string, unknown>>): void {
    iam.Grant.addToPrincipal({ grantee: this.props.role, actions, resourceArns, conditions });
  }

  private warn(step: string, message: string): void {
    Annotations.of(this.scope).addWarningV2('cdk-mlops:pipeline-permission', `step "${step}": ${message}`);
  }
}

/** What a text begins with: as much of it as is known, or the reference that stands first. */
function beginningOf(value: Json): Json {
  const join = isObject(value) ? value['Std:Join'] : undefined;
  if (!isObject(join) || !Array.isArray(join.Values)) {
    return value;
  }
  const pieces = join.Values.map(beginningOf);
  const unknown = pieces.findIndex((piece) => typeof piece !== 'string');
  if (unknown === 0) {
    return pieces[0];
  }
  const known = (unknown < 0 ? pieces : pieces.slice(0, unknown)).join(textOf(join.On));
  return unknown < 0 ? known : known + textOf(join.On);
}

function describe(value: Json): string {
  return typeof value === 'string' ? `"${value}"` : JSON.stringify(value) ?? 'that it does not say';
}
