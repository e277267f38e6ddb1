/** Text that is safe between tags and in quoted attributes. */
export function escape(text: unknown): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };
  return String(text).replace(/[&<>"']/g, (c) => entities[c]);
}

/** Markup that was made by `html` and must not be escaped again. */
export class Markup {
  constructor(private readonly text: string) {}

  public toString(): string {
    return this.text;
  }
}

/** A template of markup: every value is escaped, except markup itself; arrays are joined, nothing is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly unknown[]): Markup {
  return new Markup(strings.reduce((text, part, i) => `${text}${render(values[i - 1])}${part}`));
}

function render(value: unknown): string {
  if (value instanceof Markup) {
    return value.toString();
  }
  if (Array.isArray(value)) {
    return value.map(render).join('');
  }
  return value === undefined || value === null || value === false ? '' : escape(value);
}
