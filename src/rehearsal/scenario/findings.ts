/** Reads the findings of a validation report, whose entries name column, rule, count and first rows. */
export function describeFindings(report: unknown): string[] {
  return findings(report).map((finding) => {
    const column = text(finding.column);
    const rule = text(finding.rule) ?? text(finding.kind) ?? text(finding.check);
    const message = text(finding.message);
    const count = finding.count ?? finding.violations;
    const rows = list(finding.firstRows ?? finding.rows ?? finding.examples ?? finding.first_rows);
    const head = [column && `column ${column}`, rule].filter(Boolean).join(', ');
    return [
      head,
      message,
      typeof count === 'number' ? `${count} row${count === 1 ? '' : 's'}` : undefined,
      rows.length > 0 ? `first: ${rows.slice(0, 5).map(row).join('; ')}` : undefined,
    ].filter(Boolean).join(': ');
  });
}

function findings(report: unknown): Record<string, unknown>[] {
  const document = (report ?? {}) as Record<string, unknown>;
  const found = document.findings ?? document.violations ?? document.problems ?? document.errors;
  return list(found).filter((item): item is Record<string, unknown> => typeof item === 'object' && item !== null);
}

function row(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return String(value);
  }
  return Object.entries(value).map(([name, item]) => `${name} ${JSON.stringify(item)}`).join(' ');
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
