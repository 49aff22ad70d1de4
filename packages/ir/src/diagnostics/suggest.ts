/** "Did you mean": the known name that a misspelt one is closest to. */

/** Edits (insert, delete, replace, swap of neighbours) that turn one name into the other. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The closest of the known names, or null when none is near (about a third of the letters may differ; case is cheap). */
export function closest(name: string, known: Iterable<string>): string | null {
  if (name.length > 60) return null;
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 0.5;
  for (const candidate of known) {
    if (candidate.length > 60 || candidate === name) continue;
    const exact = distance(name, candidate);
    const caseless = distance(name.toLowerCase(), candidate.toLowerCase()) + 0.25;
    // A prefix is a likely meaning too: "act" for "activation".
    const prefix = name.length >= 3 && candidate.startsWith(name) ? 1.4 : Infinity;
    const d = Math.min(exact, caseless, prefix);
    // A replaced single letter is no similarity: every one-letter name would be "close" to every other.
    if (name.length === 1 && caseless >= 1) continue;
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** "did you mean `x`?" for a close name, else the whole list when it is short, else null. */
export function suggest(name: string, known: Iterable<string>, what: string): string | null {
  const names = [...new Set(known)];
  const near = closest(name, names);
  if (near !== null) return `did you mean \`${near}\`?`;
  if (names.length === 0 || names.length > 12) return null;
  return `${what}: ${names.map((n) => `\`${n}\``).join(', ')}`;
}
