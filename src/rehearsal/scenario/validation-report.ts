/**
 * Reads the findings of a validation report: each names column, rule, count and first rows. Errors come first,
 * warnings after them.
 */
export function describeFindings(report: unknown): string[] {
  const found = list((report as { findings?: unknown } | undefined)?.findings).filter(isObject);
  const isWarning = (finding: Finding) => finding.severity === 'warning';
  return [...found.filter((finding) => !isWarning(finding)), ...found.filter(isWarning)].map(describe);
}

type Finding = Readonly<Record<string, unknown>>;

function describe(finding: Finding): string {
  const { column, rule, message, count } = finding;
  const head = [text(column) && `column ${text(column)}`, text(rule)].filter(Boolean).join(', ');
  const rows = list(Object.entries(finding).find(([name, value]) => /rows|examples|first/i.test(name) && Array.isArray(value))?.[1]);
  return [
    `${finding.severity === 'warning' ? 'warning: ' : ''}${head}`,
    text(message),
    typeof count === 'number' ? `count ${count}` : undefined,
    rows.length > 0 ? `first: ${rows.slice(0, 5).map(row).join('; ')}` : undefined,
  ].filter(Boolean).join(': ');
}

function row(value: unknown): string {
  return isObject(value) ? Object.entries(value).map(([name, item]) => `${name} ${JSON.stringify(item)}`).join(' ') : String(value);
}

function isObject(value: unknown): value is Finding {
  return typeof value === 'object' && value !== null;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
