/**
 * Spellings of the ARN of a SageMaker resource: SageMaker wrote names in lower case into ARNs for years. A name that is a token has one.
 * No imports: what handlers bundle may use it.
 */
export function arnSpellings(arn: string): string[] {
  const at = arn.lastIndexOf('/') + 1;
  const name = arn.slice(at);
  return /\$\{Token\[/.test(name) ? [arn] : [...new Set([arn, `${arn.slice(0, at)}${name.toLowerCase()}`])];
}
