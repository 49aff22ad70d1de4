/** "Did you mean": the known word that a misspelt one is closest to. */

/** Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const at = (from: readonly number[], k: number): number => from[k] ?? 0;
      let best = Math.min(at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1), at(last, j) + 1, at(row, j - 1) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, at(beforeLast, j - 2) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The closest known word, or null when none is near: a third of the letters may differ, and a long beginning is near. */
export function closest(word: string, known: readonly string[]): string | null {
  if (word.length > 80) return null;
  const ranked = known
    .map((candidate) => {
      const begins = word.length >= 3 && candidate.startsWith(word);
      return { candidate, edits: begins ? 0.5 : distance(word.toLowerCase(), candidate.toLowerCase()) };
    })
    // A letter in place of another is no likeness: every name of one letter would be near to every other.
    .filter(({ edits }) => word.length > 1 || edits === 0)
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)))
    .sort((a, b) => a.edits - b.edits);
  return ranked[0]?.candidate ?? null;
}

/** "Did you mean x?", or where nothing is near, all there is. */
export function suggestion(word: string, known: readonly string[], what: string): string {
  const near = closest(word, known);
  return near === null ? `${what}: ${known.join(', ') || 'none'}.` : `Did you mean ${near}?`;
}
