/** The rounding bounds of scores: the formula, and that no float32 run leaves them. */
import { describe, expect, it } from 'vitest';
import { gamma } from '../src/interpret/bounds.ts';
import { interpretLayer } from '../src/interpret/index.ts';
import type { Expr, LayerIR, TensorDecl } from '../src/layer-ir.ts';
import {
  at,
  define,
  descend,
  f32,
  i32,
  index,
  layer,
  local,
  op,
  random,
  randomArray,
  range,
  reduce,
  tensor,
  treesLayer,
} from './support/hand-ir.ts';
import { only } from './support/results.ts';

/** A layer of one decision, `score > 0`, over x[n] and w[n]. */
function decide(
  n: number,
  score: Expr,
  more: { readonly decls?: readonly TensorDecl[]; readonly before?: LayerIR['statements'] } = {},
): LayerIR {
  const next = op('to_i32', op('gt', local('s', 'f32'), f32(0)));
  const walk = descend({ levels: 1, lets: { s: score }, yield: local('s', 'f32'), next });
  const tensors = [
    tensor('input', 'x', [n]),
    tensor('weight', 'w', [n]),
    ...(more.decls ?? []),
    tensor('output', 'y', []),
  ];
  return layer([], tensors, [...(more.before ?? []), define('y', [], walk)]);
}

const dot = (n: number): Expr =>
  reduce('sum', [range('i', n)], op('mul', at('x', [index('i')]), at('w', [index('i')])));

describe('bounds', () => {
  it('of a dot product with a bias are γ · (Σ|x·w| + |b|), gains are Σ|w|', () => {
    const x = [1, -2, 4];
    const w = [0.5, 3, -0.25];
    const ir = decide(3, op('add', dot(3), f32(-10)));
    const result = interpretLayer(ir, { tensors: { x, w }, bounds: true });
    expect(only(result, 'y.scores')[0]).toBe(0.5 - 6 - 1 - 10);
    // Three products and sums, one more addition, and a rounding of each product.
    expect(only(result, 'y.bounds')[0]).toBeCloseTo(gamma(5) * (0.5 + 6 + 1 + 10), 15);
    expect(only(result, 'y.gains')[0]).toBe(3.75);
    const carried = interpretLayer(ir, { tensors: { x, w }, bounds: true, inputError: 0.125 });
    expect(only(carried, 'y.bounds')[0]).toBeCloseTo(0.125 * 3.75 + (only(result, 'y.bounds')[0] ?? 0), 15);
  });

  it('are tiny for exact comparisons and are not given unless asked for', () => {
    const ir = decide(1, at('x', [i32(0)]));
    expect([...only(interpretLayer(ir, { tensors: { x: [5], w: [1] }, bounds: true }), 'y.bounds')]).toEqual([0]);
    expect(Object.keys(interpretLayer(ir, { tensors: { x: [5], w: [1] } }))).toEqual(['y']);
  });

  it('hold for float32 runs of trees', () => {
    const next = random(5);
    const [T, width, depth] = [40, 33, 4];
    const nodes = 2 ** (depth + 1) - 1;
    const tensors = {
      x: randomArray(T * width, next),
      w1: randomArray(nodes * width, next),
      b1: randomArray(nodes, next),
      w2: randomArray(nodes * 2, next),
    };
    const options = { dims: { T }, tensors, bounds: true };
    const exact = interpretLayer(treesLayer(width, 2, 1, depth), options);
    const single = interpretLayer(treesLayer(width, 2, 1, depth), { ...options, precision: 'f32' });
    expect(only(single, 'y.nodes')).toEqual(only(exact, 'y.nodes'));
    const [scores, rounded, bounds] = [only(exact, 'y.scores'), only(single, 'y.scores'), only(exact, 'y.bounds')];
    let furthest = 0;
    scores.forEach((score, i) => {
      const difference = Math.abs(score - (rounded[i] ?? Number.NaN));
      expect(difference).toBeLessThanOrEqual(bounds[i] ?? 0);
      furthest = Math.max(furthest, difference / (bounds[i] ?? 0));
    });
    expect(furthest).toBeGreaterThan(0);
  });

  const n = 9;
  const x0 = dot(n);
  const shapes: Readonly<Record<string, Expr>> = {
    'a quotient': op('div', op('add', dot(n), f32(0.1)), op('add', op('abs', dot(n)), f32(0.3))),
    'a square root': op('sub', op('sqrt', op('abs', dot(n))), f32(0.7)),
    'exp, ln, tanh, erf': op(
      'sub',
      op('add', op('erf', dot(n)), op('tanh', x0)),
      op('ln', op('add', op('exp', x0), f32(0.2))),
    ),
    'a product': reduce('prod', [range('i', n)], op('add', at('x', [index('i')]), f32(1.3))),
    'a maximum': op(
      'max',
      reduce('max', [range('i', n)], op('mul', at('x', [index('i')]), at('w', [index('i')]))),
      f32(0.1),
    ),
    'a cancelling polynomial': op(
      'sub',
      op('mul', op('sub', x0, f32(0.1)), op('add', x0, f32(0.1))),
      op('sub', op('mul', x0, x0), f32(0.01)),
    ),
  };
  it.each(Object.entries(shapes))('hold for %s', (_name, score) => {
    const next = random(77);
    let moved = 0;
    for (let round = 0; round < 50; round++) {
      const tensors = { x: randomArray(n, next), w: randomArray(n, next) };
      const exact = interpretLayer(decide(n, score), { tensors, bounds: true });
      const single = interpretLayer(decide(n, score), { tensors, bounds: true, precision: 'f32' });
      const difference = Math.abs((only(exact, 'y.scores')[0] ?? 0) - (only(single, 'y.scores')[0] ?? 0));
      expect(difference).toBeLessThanOrEqual(only(exact, 'y.bounds')[0] ?? 0);
      moved += difference;
    }
    expect(moved).toBeGreaterThan(score.kind === 'op' && score.op === 'max' ? -1 : 0);
  });

  it('follow what the layer computed before the walk', () => {
    const before = [define('h', [range('j', 2)], op('mul', f32(3), dot(4)))];
    const ir = decide(4, op('add', at('h', [i32(0)]), at('h', [i32(1)])), {
      decls: [tensor('local', 'h', [2])],
      before,
    });
    const tensors = { x: [1, 1, 1, 1], w: [1, -1, 1, -1] };
    const result = interpretLayer(ir, { tensors, bounds: true });
    expect(only(result, 'y.scores')[0]).toBe(0);
    expect(only(result, 'y.gains')[0]).toBe(2 * 3 * 4);
    // Four terms and the rounding of each, times 3, plus the other one.
    expect(only(result, 'y.bounds')[0]).toBeCloseTo(gamma(4 + 1 + 1 + 1) * 24, 15);
  });

  it('gains tell how far scores move when inputs do', () => {
    const next = random(3);
    const h = define('h', [range('j', n)], op('tanh', op('mul', f32(2), at('x', [index('j')]))));
    const sum = reduce('sum', [range('i', n)], op('mul', at('h', [index('i')]), at('w', [index('i')])));
    const ir = decide(n, sum, { decls: [tensor('local', 'h', [n])], before: [h] });
    for (let round = 0; round < 20; round++) {
      const [x, w] = [randomArray(n, next), randomArray(n, next)];
      const error = 1e-4;
      const moved = x.map((value) => value + error * next());
      const at0 = interpretLayer(ir, { tensors: { x, w }, bounds: true });
      const at1 = interpretLayer(ir, { tensors: { x: moved, w }, bounds: true });
      const difference = Math.abs((only(at0, 'y.scores')[0] ?? 0) - (only(at1, 'y.scores')[0] ?? 0));
      expect(difference).toBeLessThanOrEqual((only(at0, 'y.gains')[0] ?? 0) * error);
      expect(difference).toBeGreaterThan(0);
    }
  });
});
