/**
 * How far targets are from each other: for each two of them the largest difference over all tensors that are compared, and the
 * walks through trees that part. No reference and no tolerance is involved, so what is here is no verdict.
 */
import type { Case } from '../cases/case.ts';
import { largest } from '../numbers.ts';
import type { ExactRun, Run } from '../references/run.ts';
import { FLOOR, type Tolerance } from './tolerance.ts';
import { compareRuns } from './verdict.ts';

/** Where a difference is. */
export interface Place {
  readonly checkpoint: string;
  readonly case: string;
  readonly tensor: string;
}

/** Two targets over all cases that both ran. Rows that parted in a tree are left out after it, as everywhere. */
export interface PairDifference {
  readonly a: string;
  readonly b: string;
  /** Cases that both ran; the rest means nothing where there is none. */
  readonly cases: number;
  readonly maxAbs: number;
  readonly absAt: Place | null;
  /** Largest |difference| of a tensor in units of the largest |element| of that tensor, exactly computed. */
  readonly maxRelative: number;
  readonly relativeAt: Place | null;
  /** Walks compared, and those that part: within the rounding bound or not. */
  readonly walks: number;
  readonly routesApart: number;
}

export interface Matrix {
  /** In the order of the report's columns. */
  readonly targets: readonly string[];
  /** Each two targets once, the earlier as `a`. */
  readonly pairs: readonly PairDifference[];
}

/** Everything is allowed: what is asked is how much there is. */
const open: Tolerance = {
  of: () => ({ allowed: Number.POSITIVE_INFINITY, unit: 0, from: 'measured' }),
  ofTensor: () => FLOOR,
};

const nothing = (a: string, b: string): PairDifference => ({
  a,
  b,
  cases: 0,
  maxAbs: 0,
  absAt: null,
  maxRelative: 0,
  relativeAt: null,
  walks: 0,
  routesApart: 0,
});

/** Gathers the pairs case by case, so that no run needs to be kept. */
export class MatrixBuilder {
  readonly #targets: readonly string[];
  readonly #pairs = new Map<string, PairDifference>();

  constructor(targets: readonly string[]) {
    this.#targets = targets;
    targets.forEach((a, i) => {
      for (const b of targets.slice(i + 1)) this.#pairs.set(`${a}\n${b}`, nothing(a, b));
    });
  }

  /** Adds the runs of a case: those of the targets that ran it, in any order. */
  add(checkpoint: string, one: Case, runs: readonly Run[], exact: ExactRun): void {
    const scales = new Map(one.items.map((item) => [item.name, largest(exact.value(item) ?? [])]));
    for (const [key, pair] of this.#pairs) {
      const [a, b] = [pair.a, pair.b].map((name) => runs.find((run) => run.name === name));
      if (a === undefined || b === undefined) continue;
      this.#pairs.set(key, addCase(pair, { checkpoint, one, a, b, exact, scales }));
    }
  }

  get matrix(): Matrix {
    return { targets: this.#targets, pairs: [...this.#pairs.values()] };
  }
}

interface CasePair {
  readonly checkpoint: string;
  readonly one: Case;
  readonly a: Run;
  readonly b: Run;
  readonly exact: ExactRun;
  /** By item: its largest exact magnitude. */
  readonly scales: ReadonlyMap<string, number>;
}

function addCase(before: PairDifference, { checkpoint, one, a, b, exact, scales }: CasePair): PairDifference {
  let { maxAbs, absAt, maxRelative, relativeAt, walks, routesApart } = before;
  for (const check of compareRuns(one, a, b, exact, open).checks) {
    if (check.kind === 'route') {
      walks += check.walks;
      routesApart += check.differences.length;
      continue;
    }
    const place: Place = { checkpoint, case: one.id, tensor: check.name };
    // A tensor of zeros has no scale: any difference there is as large as can be.
    const scale = scales.get(check.name) ?? 0;
    const relative = check.maxAbs === 0 ? 0 : check.maxAbs / scale;
    if (check.maxAbs > maxAbs) [maxAbs, absAt] = [check.maxAbs, place];
    if (relative > maxRelative) [maxRelative, relativeAt] = [relative, place];
  }
  return { ...before, cases: before.cases + 1, maxAbs, absAt, maxRelative, relativeAt, walks, routesApart };
}

/** The pair of two targets, whichever is named first; undefined for one target twice. */
export const pairOf = (matrix: Matrix, a: string, b: string): PairDifference | undefined =>
  matrix.pairs.find((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a));
