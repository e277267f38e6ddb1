/**
 * Collects what is wrong with the props of one construct, to tell all of it in one error.
 */
export class Problems {
  private readonly found: string[] = [];

  /** @param subject what is checked, as its author knows it: a class and the id or name given to it */
  constructor(private readonly subject: string) {}

  /** Notes `message` (lower case, with the prop, the value and what would be right) unless `ok`. */
  public check(ok: boolean, message: () => string): void {
    if (!ok) {
      this.found.push(message());
    }
  }

  /** Throws one error that lists all problems, if there are any. */
  public throwIfAny(): void {
    if (this.found.length > 0) {
      throw new Error(`${this.subject}: ${this.found.join('; ')}`);
    }
  }
}

/** The candidate nearest to `name` by edit distance, if it is near enough to be a slip of the pen. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

/** `did you mean "x"?` or, where nothing is near, the whole list. */
export function suggestion(name: string, candidates: readonly string[]): string {
  const near = nearest(name, candidates);
  return near ? `did you mean "${near}"?` : `known are ${candidates.map((c) => `"${c}"`).join(', ') || 'none'}`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      current[j] = Math.min(
        previous[j] + 1,
        current[j - 1] + 1,
        previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    previous = current;
  }
  return previous[b.length];
}
