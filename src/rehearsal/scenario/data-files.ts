import * as fs from 'node:fs';
import { parseCsv } from './csv';
import { SchemaDocument } from '../../data/schema-document';
import { AssembledStack } from '../app/assembly';
import { UsageError } from '../command/errors';
import { isFile } from '../system/files';

/** A file named with `--data FILE` or `--data <dataset>=FILE`. */
export interface DataFile {
  /** Name of the data set, or path of the data pipeline. */
  readonly dataset?: string;
  readonly file: string;
}

/** A data pipeline as the cloud assembly has it before anything is deployed. */
export interface DataPipelineSchema {
  readonly path: string;
  /** Path of the stage that it is in. */
  readonly stage: string;
  readonly schema: SchemaDocument;
}

/** Enough for a header of a thousand columns. */
const HEADER_BYTES = 65_536;

/** Reads what was given with --data; fails when a file does not exist. */
export function parseDataFile(text: string): DataFile {
  const [, dataset, named] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  const found = isFile(text) ? { file: text } : named !== undefined && isFile(named) ? { dataset, file: named } : undefined;
  if (!found) {
    throw new UsageError(`the data file ${named ?? text} does not exist`);
  }
  return found;
}

/** The data pipelines of an app and what their files must look like. */
export function dataPipelinesOf(stacks: readonly AssembledStack[]): DataPipelineSchema[] {
  return stacks.flatMap(({ stage, metadata }) => metadata
    .filter(({ type }) => type === 'cdk-mlops:data-pipeline')
    .map(({ path, data }) => ({ path, stage, schema: (data as { schema: SchemaDocument }).schema })));
}

/**
 * Decides which file is for which data pipeline, by its path: as it was named, else by the header of the file; the only file of an app
 * with one data pipeline is for that. A file is for its data set in every stage.
 */
export function assignDataFiles(files: readonly DataFile[], pipelines: readonly DataPipelineSchema[]): ReadonlyMap<string, string> {
  const assigned = new Map<string, string>();
  for (const given of pipelines.length === 0 ? [] : files) {
    for (const { path, schema } of pipelinesOf(given, pipelines)) {
      const other = assigned.get(path);
      if (other !== undefined) {
        throw new UsageError(`--data: ${other} and ${given.file} are both for the data set "${schema.name}"; name one file for each data set`);
      }
      assigned.set(path, given.file);
    }
  }
  return assigned;
}

function pipelinesOf({ dataset, file }: DataFile, pipelines: readonly DataPipelineSchema[]): readonly DataPipelineSchema[] {
  const names = [...new Set(pipelines.map(({ schema }) => schema.name))];
  if (dataset !== undefined) {
    const found = pipelines.filter(({ path, schema }) => path === dataset || schema.name === dataset);
    if (!isOnePerStage(found)) {
      throw new UsageError(`--data: ${found.length} data pipelines are of the data set "${dataset}"; name one by its path, ${list(found.map(({ path }) => path))}`);
    }
    if (!found[0]) {
      throw new UsageError(`--data: the app has no data set "${dataset}"; it has ${list(names)}`);
    }
    return found;
  }
  if (names.length === 1 && isOnePerStage(pipelines)) {
    return pipelines;
  }
  const header = headerOf(file);
  const fitting = pipelines.filter(({ schema }) => schema.columns.every(({ name, required }) => !required || header.includes(name)));
  if (fitting.length === 0 || new Set(fitting.map(({ schema }) => schema.name)).size > 1 || !isOnePerStage(fitting)) {
    const why = fitting.length === 0 ? 'its header fits none of them' : `its header fits ${list(fitting.map(({ schema }) => schema.name))}`;
    throw new UsageError(`--data ${file}: the app has the data sets ${list(names)}, and ${why}; say which one it is: --data ${(fitting[0] ?? pipelines[0]).schema.name}=${file}`);
  }
  return fitting;
}

function isOnePerStage(pipelines: readonly DataPipelineSchema[]): boolean {
  return new Set(pipelines.map(({ stage }) => stage)).size === pipelines.length;
}

function headerOf(file: string): string[] {
  const descriptor = fs.openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(HEADER_BYTES);
    const length = fs.readSync(descriptor, buffer, 0, HEADER_BYTES, 0);
    return parseCsv(buffer.toString('utf8', 0, length).replace(/^\uFEFF/, ''))[0] ?? [];
  } finally {
    fs.closeSync(descriptor);
  }
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
