/** Routes on made-up walks: equal, flips within the bound and beyond, ties, NaN, nothing at all. */
import { describe, expect, test } from 'vitest';
import {
  compareRoutes,
  type ExactRoute,
  marginsOf,
  type Route,
  type RouteOptions,
  visitsOf,
} from '../src/compare/routes.ts';

const shape = { rows: 2, trees: 1, levels: 3, lastDecides: false };

/** Two rows: row 0 goes right, right; row 1 goes left, left. */
const exact: ExactRoute = {
  nodes: Int32Array.of(0, 2, 6, 0, 1, 3),
  scores: Float64Array.of(0.5, 1e-7, 0.3, -0.4, -2e-3, 0.9),
  bounds: new Float64Array(6).fill(1e-6),
  gains: new Float64Array(6).fill(10),
};
const still: RouteOptions = { inputError: () => 0, roundedSides: 1 };
const walk = (nodes: number[], scores: number[]): Route => ({
  nodes: Int32Array.from(nodes),
  scores: Float64Array.from(scores),
});

describe('routes', () => {
  test('the same walk agrees with itself', () => {
    const result = compareRoutes(shape, exact, exact, exact, still);
    expect(result).toMatchObject({ differences: [], walks: 2, scores: 6, maxScoreError: 0, worstRatio: 0 });
  });

  test('a decision within its rounding bound may go the other way', () => {
    const found = walk([0, 2, 5, 0, 1, 3], [0.5, -1e-7, 0.2, -0.4, -2e-3, 0.9]);
    const { differences, worstRatio } = compareRoutes(shape, found, exact, exact, still);
    expect(differences).toEqual([{ row: 0, tree: 0, level: 1, node: 2, score: 1e-7, bound: 1e-6, within: true }]);
    expect(worstRatio).toBeCloseTo(0.2);
  });

  test('a decision beyond its bound may not', () => {
    const found = walk([0, 2, 6, 0, 1, 4], [0.5, 1e-7, 0.3, -0.4, 2e-3, 0.1]);
    const { differences } = compareRoutes(shape, found, exact, exact, still);
    expect(differences).toMatchObject([{ row: 1, level: 1, node: 1, score: -2e-3, within: false }]);
  });

  test('a tie of which nothing is rounded has one right way', () => {
    const tie: ExactRoute = { ...exact, scores: Float64Array.of(0, 0, 0, 0, 0, 0), bounds: new Float64Array(6) };
    const found = walk([0, 1, 3, 0, 1, 3], [0, 0, 0, 0, 0, 0]);
    expect(compareRoutes(shape, found, tie, tie, still).differences).toMatchObject([
      { row: 0, level: 0, within: false },
    ]);
    const rounded = { ...tie, bounds: new Float64Array(6).fill(1e-9) };
    expect(compareRoutes(shape, found, rounded, rounded, still).differences).toMatchObject([{ row: 0, within: true }]);
  });

  test('the error of the input widens the bound by the gain', () => {
    const found = walk([0, 2, 6, 0, 1, 4], [0.5, 1e-7, 0.3, -0.4, 2e-5, 0.1]);
    const options: RouteOptions = { inputError: (row) => (row === 1 ? 2e-4 : 0), roundedSides: 1 };
    const { differences } = compareRoutes(shape, found, exact, exact, options);
    expect(differences[0]?.bound).toBeCloseTo(1e-6 + 10 * 2e-4, 12);
    expect(differences[0]?.within).toBe(true);
  });

  test('two walks that part are explained by a third, exact one only as far as it goes along', () => {
    const expected = walk([0, 1, 3, 0, 1, 3], [-0.5, 0.1, 0.3, -0.4, -2e-3, 0.9]);
    const found = walk([0, 1, 4, 0, 1, 3], [-0.5, 0.1, 0.3, -0.4, -2e-3, 0.9]);
    const { differences } = compareRoutes(shape, found, expected, exact, { ...still, roundedSides: 2 });
    expect(differences).toMatchObject([{ row: 0, level: 1, score: Number.NaN, within: false }]);
  });

  test('NaN in a score is never within', () => {
    const found = walk([0, 2, 5, 0, 1, 3], [0.5, Number.NaN, 0.2, -0.4, -2e-3, 0.9]);
    expect(compareRoutes(shape, found, exact, exact, still).worstRatio).toBe(Number.POSITIVE_INFINITY);
    const lost: ExactRoute = { ...exact, scores: exact.scores.map(() => Number.NaN) as Float64Array };
    expect(compareRoutes(shape, found, lost, lost, still).differences[0]?.within).toBe(false);
  });

  test('a walk that starts elsewhere is a difference', () => {
    const found = walk([1, 2, 6, 0, 1, 3], [0.5, 1e-7, 0.3, -0.4, -2e-3, 0.9]);
    expect(compareRoutes(shape, found, exact, exact, still).differences).toMatchObject([{ level: -1, within: false }]);
  });

  test('where the last level decides, its side counts', () => {
    const last = { ...shape, lastDecides: true };
    const found = walk([0, 2, 6, 0, 1, 3], [0.5, 1e-7, -0.3, -0.4, -2e-3, 0.9]);
    expect(compareRoutes(last, found, exact, exact, still).differences).toMatchObject([
      { row: 0, level: 2, within: false },
    ]);
    const zero = { ...exact, scores: Float64Array.of(0.5, 1e-7, 0, -0.4, -2e-3, 0.9) };
    const near = walk([0, 2, 6, 0, 1, 3], [0.5, 1e-7, 1e-9, -0.4, -2e-3, 0.9]);
    expect(compareRoutes(last, near, zero, zero, still).differences).toMatchObject([
      { row: 0, level: 2, within: true },
    ]);
    const minus = walk([0, 2, 6, 0, 1, 3], [0.5, 1e-7, -0, -0.4, -2e-3, 0.9]);
    expect(compareRoutes(last, minus, zero, zero, still).differences).toEqual([]);
  });

  test('lost rows, no rows and no levels are left out', () => {
    const found = walk([0, 1, 3, 0, 1, 3], [-0.5, 0, 0, -0.4, -2e-3, 0.9]);
    const lost = Uint8Array.of(1, 0);
    expect(compareRoutes(shape, found, exact, exact, { ...still, lost })).toMatchObject({ differences: [], walks: 1 });
    const nothing: ExactRoute = {
      nodes: new Int32Array(0),
      scores: new Float64Array(0),
      bounds: new Float64Array(0),
      gains: new Float64Array(0),
    };
    expect(compareRoutes({ ...shape, rows: 0 }, nothing, nothing, nothing, still)).toMatchObject({
      walks: 0,
      scores: 0,
    });
    expect(compareRoutes({ ...shape, levels: 0 }, nothing, nothing, nothing, still)).toMatchObject({
      walks: 2,
      scores: 0,
    });
  });

  test('margins are over deciding levels; visits count every node once a walk', () => {
    const { margins, bounds } = marginsOf(shape, exact);
    expect([...margins]).toEqual([1e-7, 2e-3]);
    expect([...bounds]).toEqual([1e-6, 1e-6]);
    expect([...marginsOf({ ...shape, levels: 1, rows: 6 }, exact).margins]).toEqual(
      new Array(6).fill(Number.POSITIVE_INFINITY),
    );
    expect(visitsOf(shape, exact.nodes)).toEqual([[2, 1, 1, 1, 0, 0, 1]]);
    expect(visitsOf(shape, Int32Array.of(0, 2, -1, 0, 1, 9))).toEqual([[2, 1, 1, 0, 0, 0, 0]]);
  });
});
