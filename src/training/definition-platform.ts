import { Annotations } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { findTextsOf, isObject, listOf, stepsOf, textOf } from './definition-graph';
import { builtInImageOf, endOfPatch } from '../shared/container-images';
import { hasLocalStorage, InstanceUse, isGraviton, missingInstanceType } from '../shared/instance-types';
import type { Json, JsonObject } from '../shared/pipeline-tokens';
import { Problems } from '../shared/validation';

const DAYS_AHEAD = 90;
const DAY = 24 * 3600 * 1000;

/** Where the definition language says an instance type, and what for. */
const USES: { readonly [key: string]: InstanceUse | undefined } = {
  ClusterConfig: 'processing',
  ResourceConfig: 'training',
  TransformResources: 'transform',
  SupportedTransformInstanceTypes: 'transform',
  SupportedRealtimeInferenceInstanceTypes: 'hosting',
};

/**
 * Looks at the images and instance types of a definition together with the region of the stack: a type that SageMaker does not offer
 * there, whose processor the image is not built for, or whose disks take no key, is a problem. What is known only at run time passes.
 */
export function checkPlatform(scope: Construct, definition: JsonObject, problems: Problems): void {
  const defaults = new Map(listOf(definition.Parameters).map(({ Name, DefaultValue }) => [`Parameters.${textOf(Name)}`, textOf(DefaultValue)]));
  for (const { name, type, body } of stepsOf(definition)) {
    if (type === 'Condition') {
      continue; // the steps in its branches come by themselves
    }
    const image = imagesOf(body).find((uri) => builtInImageOf(uri));
    for (const { use, value, encrypted } of instancesOf(body)) {
      const parameter = isObject(value) ? textOf(value.Get) : '';
      const instance = defaults.get(parameter) ?? textOf(value);
      const subject = `step "${name}"${defaults.has(parameter) ? `, default of parameter "${parameter.slice('Parameters.'.length)}"` : ''}`;
      const missing = missingInstanceType(scope, use, instance);
      problems.check(missing === undefined, () => `${subject}: ${missing}`);
      problems.check(!encrypted || !hasLocalStorage(instance), () =>
        `${subject}: "${instance}" encrypts its disks itself, and SageMaker refuses VolumeKmsKeyId for it: leave it out, or take e.g. "ml.m5.large"`);
      problems.check(!image || !isGraviton(instance), () =>
        `${subject}: "${instance}" has an ARM processor, for which the image ${builtInImageOf(image!)!.repository} is not built; take e.g. "ml.m5.large"`);
    }
  }
}

/** Warns of images that AWS stops to patch soon, or has stopped. */
export function warnOfEndOfPatch(scope: Construct, definition: JsonObject): void {
  for (const uri of new Set(imagesOf(definition))) {
    const image = builtInImageOf(uri);
    const end = image && endOfPatch(image);
    const left = end ? Date.parse(end.date) + DAY - Date.now() : Infinity;
    if (!end || left >= DAYS_AHEAD * DAY) {
      continue;
    }
    const name = `${image.repository}:${image.tag}`;
    const newest = image.tag.startsWith(end.newest)
      ? `${end.newest} is the newest version that this release of cdk-mlops knows: look for a newer release`
      : `the newest version is ${end.newest}`;
    Annotations.of(scope).addWarningV2('cdk-mlops:image-end-of-patch', left <= 0
      ? `AWS patched the image ${name} for the last time on ${end.date}; ${newest}`
      : `AWS patches the image ${name} until ${end.date}; ${newest}`);
  }
}

function imagesOf(value: Json): string[] {
  return findTextsOf(value, (key) => ['ImageUri', 'TrainingImage', 'Image'].includes(key));
}

function instancesOf(value: Json): { readonly use: InstanceUse; readonly value: Json; readonly encrypted: boolean }[] {
  if (Array.isArray(value)) {
    return value.flatMap(instancesOf);
  }
  return !isObject(value) ? [] : Object.entries(value).flatMap(([key, item]) => {
    const use = USES[key];
    const types = Array.isArray(item) ? item : isObject(item) ? [item.InstanceType] : [];
    const encrypted = isObject(item) && item.VolumeKmsKeyId !== undefined;
    return use ? types.map((type) => ({ use, value: type, encrypted })) : instancesOf(item);
  });
}
