/**
 * The lines of a case's table, for the terminal and the page alike: one for each tensor or tree, with the error of every
 * target and of ONNX Runtime against the best reference there is, and the verdict over all references.
 */
import type { Check } from '../compare/verdict.ts';
import type { CaseReport, RunReport } from './data.ts';
import { scientific } from './format.ts';

/** The best reference first: the original's float32 run, as its tolerances are for; then the exact interpreter. */
const ranking = ['golden', 'interpreter', 'golden f64', 'onnxruntime'];

export interface Row {
  readonly name: string;
  readonly kind: Check['kind'];
  /** The reference of the errors. */
  readonly against: string;
  /** For values: what is allowed, to the strictest target. For routes: the allowance of the score that comes closest to its own. */
  readonly allowed: number;
  readonly from: 'recorded' | 'measured' | null;
  /** By run name; null where the run has none. */
  readonly checks: ReadonlyMap<string, Check>;
  /** Runs and references that disagree at this tensor, whatever the reference. */
  readonly departs: readonly { readonly run: string; readonly reference: string }[];
  /** Worst over targets. */
  readonly relativeRms: number;
  readonly cosine: number;
}

/** Targets and ONNX Runtime, the columns of the table. */
export const columnsOf = (one: CaseReport): readonly RunReport[] => [
  ...one.runs.filter((run) => run.kind === 'target'),
  ...one.runs.filter((run) => run.kind === 'onnxruntime'),
];

/** The largest error a check found. */
export const errorOf = (check: Check): number => (check.kind === 'value' ? check.maxAbs : check.maxScoreError);

/** A check's error in units of what it may be; above 1 is a difference. */
export function ratioOf(check: Check): number {
  if (check.kind === 'value') return check.maxAbs === 0 ? 0 : check.maxAbs / check.allowed;
  return check.differences.some((difference) => !difference.within) ? Number.POSITIVE_INFINITY : check.worstRatio;
}

/** The rows of a case, in the order in which the graph computes. */
export function rowsOf(one: CaseReport): readonly Row[] {
  const names = new Map<string, Check['kind']>();
  const longest = [...one.runs].sort((a, b) => count(b) - count(a));
  for (const run of longest)
    for (const comparison of [...run.comparisons].sort((a, b) => b.checks.length - a.checks.length))
      for (const check of comparison.checks) if (!names.has(check.name)) names.set(check.name, check.kind);
  return [...names].map(([name, kind]) => rowOf(one, name, kind));
}

const count = (run: RunReport): number => Math.max(0, ...run.comparisons.map((comparison) => comparison.checks.length));

function rowOf(one: CaseReport, name: string, kind: Check['kind']): Row {
  const columns = columnsOf(one);
  const find = (run: RunReport, reference: string): Check | undefined =>
    run.comparisons.find((comparison) => comparison.reference === reference)?.checks.find((c) => c.name === name);
  const against = ranking.find((reference) => columns.some((run) => find(run, reference) !== undefined)) ?? '';
  const checks = new Map<string, Check>();
  for (const run of columns) {
    const check = find(run, against);
    if (check !== undefined) checks.set(run.name, check);
  }
  const departs = one.runs.flatMap((run) =>
    run.comparisons.flatMap(({ reference, checks: all }) =>
      all.some((check) => check.name === name && !check.agrees) ? [{ run: run.name, reference }] : [],
    ),
  );
  const targets = one.runs.filter((run) => run.kind === 'target').flatMap((run) => checks.get(run.name) ?? []);
  const values = targets.filter((check) => check.kind === 'value');
  const routes = targets.filter((check) => check.kind === 'route');
  return {
    name,
    kind,
    against,
    allowed:
      kind === 'value'
        ? Math.min(...values.map((check) => check.allowed), values.length === 0 ? Number.NaN : Number.POSITIVE_INFINITY)
        : Math.max(0, ...routes.map((c) => c.worstScore?.allowed ?? 0)),
    from: values[0]?.from ?? null,
    checks,
    departs,
    relativeRms: Math.max(0, ...values.map((check) => check.relativeRms)),
    cosine: Math.min(1, ...values.map((check) => check.cosine)),
  };
}

/** What a row's values may be off by, on those targets: one number, or two where some are held to less than others. */
export function allowedText(row: Row, targets: readonly string[]): string {
  const limits = targets.flatMap((name) => {
    const check = row.checks.get(name);
    return check?.kind === 'value' ? [check.allowed] : [];
  });
  const [least, most] = limits.length === 0 ? [row.allowed, row.allowed] : [Math.min(...limits), Math.max(...limits)];
  return least === most || Number.isNaN(least) ? scientific(least) : `${scientific(least)}…${scientific(most)}`;
}

/** One line about the routes of a run: walks, flips, closest decision; null without trees. */
export function routeSummary(one: CaseReport): {
  readonly walks: number;
  readonly levels: number;
  readonly within: number;
  readonly beyond: number;
  readonly closest: number;
  readonly bound: number;
  readonly trees: number;
} | null {
  if (one.trees.length === 0) return null;
  const checks = one.runs
    .filter((run) => run.kind === 'target')
    .flatMap((run) => run.comparisons.flatMap((comparison) => comparison.checks))
    .filter((check) => check.kind === 'route');
  const flips = checks.flatMap((check) => check.differences);
  let [closest, bound] = [Number.POSITIVE_INFINITY, 0];
  for (const tree of one.trees)
    tree.margins.forEach((margin, row) => {
      if (margin < closest) [closest, bound] = [margin, tree.bounds[row] as number];
    });
  return {
    walks: one.trees.reduce((sum, tree) => sum + tree.rows * tree.trees, 0),
    levels: Math.max(...one.trees.map((tree) => tree.levels)),
    within: flips.filter((flip) => flip.within).length,
    beyond: flips.filter((flip) => !flip.within).length,
    closest,
    bound,
    trees: one.trees.length,
  };
}

/** The check that comes closest to its limit, over targets and references. */
export function tightest(
  one: CaseReport,
): { readonly run: string; readonly reference: string; readonly check: Check; readonly ratio: number } | null {
  let worst: ReturnType<typeof tightest> = null;
  for (const run of one.runs.filter((candidate) => candidate.kind === 'target'))
    for (const { reference, checks } of run.comparisons)
      for (const check of checks) {
        const ratio = ratioOf(check);
        if (worst === null || ratio > worst.ratio) worst = { run: run.name, reference, check, ratio };
      }
  return worst;
}

/** The fewest tokens that stayed comparable to the end, over targets and references. */
export function comparableTokens(one: CaseReport): { readonly tokens: number; readonly comparable: number } | null {
  const all = one.runs.filter((run) => run.kind === 'target').flatMap((run) => run.comparisons);
  const [first] = all.toSorted((a, b) => a.comparable - b.comparable);
  return first === undefined ? null : { tokens: first.tokens, comparable: first.comparable };
}

/** Argmax agreement of the targets' scores with the best reference; null for cases without scores. */
export function finalAgreement(one: CaseReport): string | null {
  const finals = one.runs
    .filter((run) => run.kind === 'target')
    .flatMap((run) => run.comparisons.flatMap((comparison) => comparison.checks))
    .flatMap((check) => (check.kind === 'value' && check.final !== null ? [check] : []));
  const scores = finals.flatMap((check) => (check.argmax === null ? [] : [{ name: check.name, ...check.argmax }]));
  const cosine = Math.min(1, ...finals.map((check) => check.cosine));
  const [worst] = scores.toSorted((a, b) => a.equal / Math.max(1, a.rows) - b.equal / Math.max(1, b.rows));
  if (worst === undefined) return finals.length === 0 ? null : `least cosine ${cosineText(cosine)}`;
  const tied = worst.tied > 0 ? `, ${worst.tied} tied` : '';
  return `argmax of ${worst.name} equal in ${worst.equal} of ${worst.rows} rows${tied}, least cosine ${cosineText(cosine)}`;
}

/** 0.999999999998: as many nines as there are. */
export const cosineText = (cosine: number): string => cosine.toFixed(12).replace(/\.?0+$/, '');

/** Short names of targets under one header: `wasm`, `:plain`, `:threads=2`. */
export function shortNames(specs: readonly string[]): readonly string[] {
  const families = new Set(specs.map((spec) => spec.split(':')[0]));
  return specs.map((spec, i) => (i > 0 && families.size === 1 ? spec.slice(spec.indexOf(':')) : spec));
}
