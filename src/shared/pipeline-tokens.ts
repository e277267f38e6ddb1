import { IResolvable, IResolveContext, Token, Tokenization } from 'aws-cdk-lib';

/** Anything that JSON can hold, CDK tokens included. */
export type Json = string | number | boolean | null | undefined | IResolvable | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/**
 * A value that SageMaker knows only when the pipeline runs, carried as an ordinary CDK string or number. That is why
 * a step's props are plain strings and numbers, and why `${...}` in a string becomes a `Std:Join`.
 */
export class PipelineToken implements IResolvable {
  public readonly creationStack: string[] = [];

  /**
   * @param expression what stands in the definition
   * @param isText whether SageMaker sees a string there; anything else is wrapped in a join where a string is asked for
   */
  constructor(private readonly expression: JsonObject, private readonly isText: boolean) {}

  public asString(): string {
    return Token.asString(this, { displayHint: 'Pipeline' });
  }

  public asNumber(): number {
    return Token.asNumber(this);
  }

  public render(): Json {
    return renderReferences(this.expression);
  }

  public renderAsText(): Json {
    return this.isText ? this.render() : join('', [this.render()]);
  }

  public resolve(_context: IResolveContext): never {
    throw new Error(`${JSON.stringify(this.expression)} is known to SageMaker only while the pipeline runs: `
      + 'use it in the steps of a PipelineDefinition, not in other resources');
  }

  public toString(): string {
    return this.asString();
  }

  public toJSON(): string {
    return '<value of the pipeline run>';
  }
}

export function reference(path: string, isText = true): PipelineToken {
  return new PipelineToken({ Get: path }, isText);
}

export function join(delimiter: string, values: Json[]): JsonObject {
  return { 'Std:Join': { On: delimiter, Values: values } };
}

/** Replaces the tokens of the pipeline by what the definition language says; CDK's own tokens stay for the template. */
export function renderReferences(value: Json): Json {
  if (typeof value === 'string') {
    return renderString(value);
  }
  if (typeof value === 'number') {
    const token = Tokenization.reverseNumber(value);
    return token instanceof PipelineToken ? token.render() : value;
  }
  if (Array.isArray(value)) {
    return value.map(renderReferences);
  }
  if (value instanceof PipelineToken) {
    return value.render();
  }
  if (value === null || typeof value !== 'object' || Token.isUnresolved(value)) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, renderReferences(item)]),
  );
}

function renderString(text: string): Json {
  const parts: (string | PipelineToken)[] = [];
  for (const piece of split(text)) {
    const [token] = Tokenization.reverseString(piece).tokens;
    const last = parts[parts.length - 1];
    if (token instanceof PipelineToken) {
      parts.push(token);
    } else if (typeof last === 'string') {
      parts[parts.length - 1] = last + piece;
    } else {
      parts.push(piece);
    }
  }
  if (!parts.some((part) => part instanceof PipelineToken)) {
    return text;
  }
  const [only] = parts;
  return parts.length === 1 && only instanceof PipelineToken
    ? only.renderAsText()
    : join('', parts.map((part) => (part instanceof PipelineToken ? part.render() : part)));
}

/** The literals and the tokens of a string, one after the other. */
function split(text: string): string[] {
  const fragments = Tokenization.reverseString(text);
  if (fragments.length < 2) {
    return [text];
  }
  return fragments.join({
    join: (left: string | string[], right: string) => [...(Array.isArray(left) ? left : [left]), right],
  }) as string[];
}

/** The text up to the first value that is known only while the pipeline runs, and whether that is all of it. */
export function knownBeginning(text: string): { readonly text: string; readonly complete: boolean } {
  let known = '';
  for (const piece of split(text)) {
    if (Tokenization.reverseString(piece).tokens[0] instanceof PipelineToken) {
      return { text: known, complete: false };
    }
    known += piece;
  }
  return { text: known, complete: true };
}
