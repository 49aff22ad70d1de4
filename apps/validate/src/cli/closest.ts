/** "Did you mean": the known word that a misspelt one is closest to. */

/** Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (beforeLast[j - 2] as number) + 1 : replace;
      row.push(Math.min(replace, swap, (last[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] as number;
}

/** The closest known word, or null when none is near: about a third of the letters may differ. A long beginning is near too. */
export function closest(word: string, known: readonly string[]): string | null {
  if (word.length > 80) return null;
  const ranked = known
    .map((candidate) => {
      const begins = word.length >= 3 && candidate.startsWith(word);
      return { candidate, edits: begins ? 1 : distance(word.toLowerCase(), candidate.toLowerCase()) };
    })
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)))
    .sort((a, b) => a.edits - b.edits);
  return ranked[0]?.candidate ?? null;
}
