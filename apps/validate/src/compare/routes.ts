/**
 * Routes before values: where two walks through a tree part, and whether float32 rounding may be the reason.
 *
 * Two walks part at the last node they share. If the exact score there is so close to zero that a float32 sum may have
 * either sign, both ways are right ("flip within bound"); anything else is a difference. A tie of which nothing is rounded (a
 * zero row without bias) is decided by the rule of the layer, `>` or `>=`, and has one right way. The bound is the interpreter's
 * γ_n·Σ|x_i·w_i|, plus what the error of the tree's own input can move the score by (gain · input error).
 */
import type { Numbers } from '../numbers.ts';

/** A recorded walk of all rows through all trees of one node: both [rows, trees, levels]. */
export interface Route {
  readonly nodes: Numbers;
  readonly scores: Numbers;
}

/** The interpreter's exact walk, with bounds. */
export interface ExactRoute extends Route {
  /** How far a float32 score may lie from the exact one. */
  readonly bounds: Numbers;
  /** How far a score moves per unit of error in the tree's input. */
  readonly gains: Numbers;
}

/** What of a tree is compared. */
export interface TreeShape {
  readonly rows: number;
  readonly trees: number;
  readonly levels: number;
  readonly lastDecides: boolean;
}

/** Two walks that part. */
export interface RouteDifference {
  readonly row: number;
  readonly tree: number;
  /** The level of the last node they share: the decision that went two ways. */
  readonly level: number;
  readonly node: number;
  /** The exact score at that node; NaN where the exact walk isn't there. */
  readonly score: number;
  /** How far from zero a score may be for the decision to be open. */
  readonly bound: number;
  readonly within: boolean;
}

/** A score that lies further from its reference than it may. */
export interface ScoreDifference {
  readonly row: number;
  readonly tree: number;
  readonly level: number;
  readonly found: number;
  readonly expected: number;
  readonly allowed: number;
}

export interface RouteComparison {
  readonly differences: readonly RouteDifference[];
  /** Walks (row × tree) compared. */
  readonly walks: number;
  /** Scores compared: those at nodes that both walks visit. */
  readonly scores: number;
  /** Largest |difference| of a score, and of those the one that uses most of what it may. */
  readonly maxScoreError: number;
  readonly worstScore: ScoreDifference | null;
  /** `worstScore` in units of what it may be: above 1 is a difference. */
  readonly worstRatio: number;
}

export interface RouteOptions {
  /** 1 for rows left out. */
  readonly lost?: Uint8Array;
  /** Per row, the largest error in the tree's input: the sum of both sides' errors against the exact input. */
  readonly inputError: (row: number) => number;
  /** How many of the two sides are float32 runs: each may be off by the bound. */
  readonly roundedSides: 1 | 2;
}

/** Compares two recorded walks of the same rows. `exact` gives bounds, and is one of the two or a third. */
export function compareRoutes(
  shape: TreeShape,
  found: Route,
  expected: Route,
  exact: ExactRoute,
  options: RouteOptions,
): RouteComparison {
  const { rows, trees, levels, lastDecides } = shape;
  const differences: RouteDifference[] = [];
  let [walks, scores, maxScoreError, worstRatio] = [0, 0, 0, 0];
  let worstScore: ScoreDifference | null = null;
  for (let row = 0; row < rows; row++) {
    if (options.lost?.[row] === 1) continue;
    const inputError = options.inputError(row);
    for (let tree = 0; tree < trees; tree++) {
      walks++;
      const start = (row * trees + tree) * levels;
      let exactHere = true;
      for (let level = 0; level < levels; level++) {
        const i = start + level;
        // The root of both is the same node unless something is badly wrong, which then is a difference at "level −1".
        if (found.nodes[i] !== expected.nodes[i]) {
          differences.push(parted(row, tree, level - 1, i - 1, exactHere));
          break;
        }
        if (exact.nodes[i] !== expected.nodes[i]) exactHere = false;
        const [a, b] = [found.scores[i] as number, expected.scores[i] as number];
        scores++;
        const error = a === b || Object.is(a, b) ? 0 : Math.abs(a - b);
        const allowed = exactHere ? reach(i, inputError, options.roundedSides) : Number.POSITIVE_INFINITY;
        const distance = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
        if (distance > maxScoreError) maxScoreError = distance;
        const ratio = distance === 0 ? 0 : allowed === 0 ? Number.POSITIVE_INFINITY : distance / allowed;
        if (ratio > worstRatio) {
          worstRatio = ratio;
          worstScore = { row, tree, level, found: a, expected: b, allowed };
        }
        // A last decision shows in no node; its side does.
        if (lastDecides && level === levels - 1 && !Object.is(Math.sign(a) + 0, Math.sign(b) + 0))
          differences.push(parted(row, tree, level, i, exactHere));
      }
    }
  }
  return { differences, walks, scores, maxScoreError, worstScore, worstRatio };

  function reach(i: number, inputError: number, sides: number): number {
    return sides * (exact.bounds[i] as number) + (exact.gains[i] as number) * inputError;
  }

  function parted(row: number, tree: number, level: number, i: number, exactHere: boolean): RouteDifference {
    if (level < 0) return { row, tree, level, node: -1, score: Number.NaN, bound: 0, within: false };
    const score = exactHere ? (exact.scores[i] as number) : Number.NaN;
    // Each side must have been free to decide: one bound, and all of the input's error.
    const bound = exactHere ? reach(i, options.inputError(row), 1) : 0;
    // A bound of 0 means that every term is 0: float32 computes that score exactly, and a tie has one right way.
    const within = bound > 0 && Math.abs(score) <= bound;
    return { row, tree, level, node: expected.nodes[i] as number, score, bound, within };
  }
}

/**
 * The decision of a row that rounding could most easily turn, as the flip it would be; null when rounding turns none.
 */
export function openDecision(
  shape: TreeShape,
  route: ExactRoute,
  row: number,
  inputError: number,
): RouteDifference | null {
  const { trees, levels, lastDecides } = shape;
  let best: RouteDifference | null = null;
  for (let tree = 0; tree < trees; tree++)
    for (let level = 0; level < (lastDecides ? levels : levels - 1); level++) {
      const i = (row * trees + tree) * levels + level;
      const score = route.scores[i] as number;
      const bound = (route.bounds[i] as number) + (route.gains[i] as number) * inputError;
      if (!(bound > 0 && Math.abs(score) <= bound)) continue;
      if (best !== null && Math.abs(score) / bound >= Math.abs(best.score) / best.bound) continue;
      best = { row, tree, level, node: route.nodes[i] as number, score, bound, within: true };
    }
  return best;
}

/** Per row, the least |score| over trees and deciding levels, with the bound at that decision. */
export function marginsOf(
  shape: TreeShape,
  route: ExactRoute,
): { readonly margins: Float64Array; readonly bounds: Float64Array } {
  const { rows, trees, levels, lastDecides } = shape;
  const margins = new Float64Array(rows).fill(Number.POSITIVE_INFINITY);
  const bounds = new Float64Array(rows);
  const deciding = lastDecides ? levels : levels - 1;
  for (let row = 0; row < rows; row++)
    for (let tree = 0; tree < trees; tree++)
      for (let level = 0; level < deciding; level++) {
        const i = (row * trees + tree) * levels + level;
        const margin = Math.abs(route.scores[i] as number);
        if (margin < (margins[row] as number)) {
          margins[row] = margin;
          bounds[row] = route.bounds[i] as number;
        }
      }
  return { margins, bounds };
}

/** How often each node of each tree was visited: [trees][nodes], nodes in heap order. */
export function visitsOf(shape: TreeShape, nodes: Numbers): readonly (readonly number[])[] {
  const { rows, trees, levels } = shape;
  const counts = Array.from({ length: trees }, () => new Array<number>(2 ** levels - 1).fill(0));
  for (let i = 0; i < rows * trees * levels; i++) {
    const node = nodes[i] as number;
    const tree = counts[Math.floor(i / levels) % trees];
    if (tree !== undefined && node >= 0 && node < tree.length) tree[node] = (tree[node] as number) + 1;
  }
  return counts;
}
