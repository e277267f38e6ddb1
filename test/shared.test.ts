import * as fs from 'fs';
import * as path from 'path';
import { App, Stack } from 'aws-cdk-lib';
import * as fc from 'fast-check';
import { folderWithFiles, jsonAsset } from '../src/shared/assets';
import { Problems, nearest, suggestion } from '../src/shared/validation';

describe('Problems', () => {
  test('says nothing while all is well', () => {
    const problems = new Problems('Column "height"');
    problems.check(true, () => 'never said');
    expect(() => problems.throwIfAny()).not.toThrow();
  });

  test('tells all problems in one error that begins with the subject', () => {
    const problems = new Problems('Column "height"');
    problems.check(false, () => 'min 3 is above max 2');
    problems.check(false, () => 'perUnit must be above 0, got -1');
    expect(() => problems.throwIfAny()).toThrow('Column "height": min 3 is above max 2; perUnit must be above 0, got -1');
  });
});

describe('nearest', () => {
  const names = ['length', 'height', 'whole_weight', 'rings'];

  test.each([['lenght', 'length'], ['Height', 'height'], ['whole weight', 'whole_weight'], ['ring', 'rings']])('%s is a slip of %s', (slip, right) => {
    expect(nearest(slip, names)).toBe(right);
  });

  test('a name that is far from all is not a slip, and the suggestion lists them', () => {
    expect(nearest('temperature', names)).toBeUndefined();
    expect(suggestion('temperature', names)).toBe('known are "length", "height", "whole_weight", "rings"');
    expect(suggestion('temperature', [])).toBe('known are none');
  });

  test('every name is nearest to itself', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }).map((s) => s.toLowerCase()), { minLength: 1 }), (candidates) => {
      for (const name of candidates) {
        expect(nearest(name, candidates)).toBe(name);
      }
    }));
  });
});

describe('generated assets', () => {
  test('equal content is one file, other content another', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    const one = jsonAsset(stack, 'One', { a: 1 });
    const same = jsonAsset(stack, 'Same', { a: 1 });
    const other = jsonAsset(stack, 'Other', { a: 2 });
    expect(same.assetHash).toBe(one.assetHash);
    expect(other.assetHash).not.toBe(one.assetHash);
  });

  test('a folder is copied with further files, and the original stays as it was', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    const folder = path.join(__dirname, '..', 'src', 'shared');
    const before = fs.readdirSync(folder);
    const copy = folderWithFiles(stack, folder, { 'schema.json': '{}' });
    expect(fs.readdirSync(copy).sort()).toEqual([...before, 'schema.json'].sort());
    expect(fs.readdirSync(folder)).toEqual(before);
  });
});
