/** The table: for each layer and target, how much changed. */
import type { Comparison } from './compare.ts';
import type { Difference } from './diffs.ts';

export interface Row {
  readonly case: string;
  readonly target: string;
  readonly kernels: number;
  readonly added: number;
  readonly removed: number;
  /** Facts about launches, each once. */
  readonly facts: readonly string[];
  readonly manifests: number;
  readonly errors: number;
  readonly fresh: number;
  readonly gone: number;
}

/** Rows with a change, in the order of the corpus. */
export function summaryOf(comparison: Comparison, differences: readonly Difference[]): readonly Row[] {
  const rows = new Map<string, { -readonly [K in keyof Row]: Row[K] }>();
  const row = (one: { readonly case: string; readonly target: string }): { -readonly [K in keyof Row]: Row[K] } => {
    const key = JSON.stringify([one.case, one.target]);
    const known = rows.get(key);
    if (known !== undefined) return known;
    const { case: name, target } = one;
    const fresh = {
      ...{ case: name, target, kernels: 0, added: 0, removed: 0, facts: [] as readonly string[] },
      ...{ manifests: 0, errors: 0, fresh: 0, gone: 0 },
    };
    rows.set(key, fresh);
    return fresh;
  };
  const sizes = new Map(
    differences.flatMap((d) => [d.change, ...d.also].map((change) => [change, { added: d.added, removed: d.removed }])),
  );
  for (const change of comparison.changed) {
    const at = row(change);
    at.facts = [...new Set([...at.facts, ...change.facts])];
    if (change.kind === 'manifest') at.manifests++;
    else if (change.kind === 'error') at.errors++;
    else {
      at.kernels++;
      at.added += sizes.get(change)?.added ?? 0;
      at.removed += sizes.get(change)?.removed ?? 0;
    }
  }
  for (const one of comparison.added) row(one).fresh++;
  for (const one of comparison.removed) row(one).gone++;
  return [...rows.values()];
}

/** A row's cells, as text. */
export const cellsOf = (row: Row): readonly string[] => [
  row.case,
  row.target,
  row.kernels === 0 ? '' : `${row.kernels} changed`,
  row.kernels === 0 ? '' : `−${row.removed} +${row.added}`,
  [
    ...row.facts,
    ...(row.fresh > 0 ? [`${row.fresh} new`] : []),
    ...(row.gone > 0 ? [`${row.gone} removed`] : []),
    ...(row.manifests > 0 ? [`${row.manifests} manifest${row.manifests === 1 ? '' : 's'}`] : []),
    ...(row.errors > 0 ? [`${row.errors} refused differently`] : []),
  ].join(', '),
];
