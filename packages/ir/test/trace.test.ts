/** What a trace records, and that it changes nothing else. */
import { describe, expect, it } from 'vitest';
import { interpretLayer } from '../src/interpret/index.ts';
import type { Expr, LayerIR } from '../src/layer-ir.ts';
import { format } from '../src/size.ts';
import { traceLayer } from '../src/trace.ts';
import {
  at,
  define,
  descend,
  f32,
  i32,
  index,
  layer,
  local,
  mapLayer,
  op,
  random,
  randomArray,
  range,
  reduce,
  select,
  tensor,
  treesLayer,
} from './support/hand-ir.ts';
import { furthest, only } from './support/results.ts';

const right = (go: Expr, node = 'n'): Expr =>
  op('add', op('add', op('mul', i32(2), local(node, 'i32')), i32(1)), op('to_i32', go));
const shapes = (ir: LayerIR): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ir.tensors
      .filter((t) => t.name.includes('.'))
      .map((t) => [t.name, `${t.storage}[${t.shape.map(format).join(', ')}]`]),
  );

describe('traceLayer', () => {
  it('returns a layer without descents unchanged', () => {
    const ir = mapLayer(3, f32(1));
    expect(traceLayer(ir)).toBe(ir);
  });

  it('leaves out the indices that the route does not depend on', () => {
    const traced = traceLayer(treesLayer(5, 7, 3, 2));
    expect(shapes(traced)).toEqual({ 'y.nodes': 'i32[T, 3, 3]', 'y.scores': 'f32[T, 3, 3]' });
    expect(traceLayer(traced)).toBe(traced);
  });

  it('follows lets, the start and the result of an earlier walk to the indices they need', () => {
    const first = descend({
      node: 'm',
      levels: 2,
      next: right(op('gt', at('x', [index('t'), local('m', 'i32')]), f32(0)), 'm'),
      result: descend({ levels: 1, init: local('m', 'i32'), yield: f32(1), next: local('n', 'i32') }),
    });
    const ir = layer(
      ['T'],
      [tensor('input', 'x', ['T', 7]), tensor('output', 'y', ['T', 4])],
      [define('y', [range('t', 'T'), range('o', 4)], first)],
    );
    expect(shapes(traceLayer(ir))).toEqual({
      'y.nodes.1': 'i32[T, 2]',
      'y.scores.1': 'f32[T, 2]',
      'y.nodes.2': 'i32[T, 1]',
      'y.scores.2': 'f32[T, 1]',
    });
  });

  it('leaves a walk alone that starts where the step of another one stands', () => {
    const inner = descend({ node: 'm', init: local('n', 'i32'), levels: 1, yield: f32(1), next: local('m', 'i32') });
    const outer = descend({ levels: 2, yield: inner, next: right(op('gt', at('x', [local('n', 'i32')]), f32(0))) });
    const ir = layer([], [tensor('input', 'x', [3]), tensor('output', 'y', [])], [define('y', [], outer)]);
    expect(shapes(traceLayer(ir))).toEqual({ 'y.nodes': 'i32[2]', 'y.scores': 'f32[2]' });
  });

  it('records nodes and scores, and does not change the values', () => {
    const next = random(11);
    const [T, width, outputs, trees, depth] = [6, 5, 3, 2, 3];
    const nodes = 2 ** (depth + 1) - 1;
    const tensors = {
      x: randomArray(T * width, next),
      w1: randomArray(trees * nodes * width, next),
      b1: randomArray(trees * nodes, next),
      w2: randomArray(trees * nodes * outputs, next),
    };
    const ir = treesLayer(width, outputs, trees, depth);
    const plain = interpretLayer(ir, { dims: { T }, tensors });
    const traced = interpretLayer(traceLayer(ir), { dims: { T }, tensors, strict: true });
    expect(Object.keys(plain)).toEqual(['y']);
    expect(only(traced, 'y')).toEqual(only(plain, 'y'));

    const expected = { y: new Float64Array(T * outputs), nodes: [] as number[], scores: [] as number[] };
    for (let t = 0; t < T; t++) {
      for (let k = 0; k < trees; k++) {
        for (let level = 0, n = 0; level <= depth; level++) {
          const row = k * nodes + n;
          let s = 0;
          for (let i = 0; i < width; i++) s += (tensors.x[t * width + i] ?? 0) * (tensors.w1[row * width + i] ?? 0);
          s += tensors.b1[row] ?? 0;
          expected.nodes.push(n);
          expected.scores.push(s);
          for (let o = 0; o < outputs; o++) {
            expected.y[t * outputs + o] =
              (expected.y[t * outputs + o] ?? 0) + Math.max(s, 0) * (tensors.w2[row * outputs + o] ?? 0);
          }
          n = 2 * n + 1 + (s > 0 ? 1 : 0);
        }
      }
    }
    expect([...only(traced, 'y.nodes')]).toEqual(expected.nodes);
    expect([...only(traced, 'y.scores')]).toEqual(expected.scores);
    expect(furthest(only(plain, 'y'), expected.y)).toBeLessThan(1e-14);
  });
});

describe('scores', () => {
  const scoresOf = (next: Expr, x: readonly number[], lets: Readonly<Record<string, Expr>> = {}): number[] => {
    const walk = descend({ levels: 1, lets, yield: f32(0), next });
    const ir = layer([], [tensor('input', 'x', [x.length]), tensor('output', 'y', [])], [define('y', [], walk)]);
    return [...only(interpretLayer(traceLayer(ir), { tensors: { x } }), 'y.scores')];
  };
  const x = (i: number): Expr => at('x', [i32(i)]);
  const count = (go: Expr): Expr => op('to_i32', go);

  it('are left minus right of the comparison whose sides are closest', () => {
    expect(scoresOf(count(op('gt', x(0), x(1))), [1, 4])).toEqual([-3]);
    const two = op('add', count(op('gt', x(0), x(1))), count(op('lt', x(2), f32(0.5))));
    expect(scoresOf(two, [1, 4, 0.75])).toEqual([0.25]);
    expect(scoresOf(two, [4.125, 4, 9])).toEqual([0.125]);
  });

  it('are 0 when numbers are not compared, or only integers, which no rounding moves', () => {
    expect(scoresOf(i32(3), [1])).toEqual([0]);
    const exact = select(op('eq', local('n', 'i32'), i32(0)), count(op('gt', x(0), f32(0))), i32(0));
    expect(scoresOf(exact, [-0.5])).toEqual([-0.5]);
  });

  it('come from conditions in lets too, but not from comparisons that only shape a number', () => {
    const leaky = select(op('gt', x(0), f32(0)), x(0), op('mul', f32(0.01), x(0)));
    const lets = { s: leaky, go: op('gt', local('s', 'f32'), f32(-1)) };
    expect(scoresOf(count(local('go', 'bool')), [-0.25], lets)).toEqual([-0.0025 + 1]);
  });

  it('leave out what a walk inside the decision compares for itself', () => {
    const positive = select(op('gt', x(1), f32(0)), f32(1), f32(-1));
    const inner = descend({ node: 'm', levels: 1, yield: positive, next: count(op('lt', x(1), f32(0.25))) });
    const walk = descend({ levels: 1, yield: f32(0), next: count(op('gt', op('mul', x(0), inner), f32(0))) });
    const ir = layer([], [tensor('input', 'x', [2]), tensor('output', 'y', [])], [define('y', [], walk)]);
    const result = interpretLayer(traceLayer(ir), { tensors: { x: [-8, 0.5] } });
    expect([...only(result, 'y.scores.1'), ...only(result, 'y.scores.2')]).toEqual([-8, 0.25]);
  });

  it('look only at comparisons that were made', () => {
    const guarded = select(op('gt', x(0), f32(0)), count(op('gt', x(1), f32(0))), i32(0));
    expect(scoresOf(guarded, [8, 0.5])).toEqual([0.5]);
    expect(scoresOf(guarded, [-8, 0.5])).toEqual([-8]);
  });

  it('mark steps that no value needed by node -1', () => {
    const walk = descend({ levels: 1, init: index('i'), yield: x(0), next: count(op('gt', x(0), f32(0))) });
    const value = select(op('gt', index('i'), i32(0)), walk, f32(7));
    const ir = layer(
      [],
      [tensor('input', 'x', [1]), tensor('output', 'y', [2])],
      [define('y', [range('i', 2)], value)],
    );
    const result = interpretLayer(traceLayer(ir), { tensors: { x: [3] } });
    expect([[...only(result, 'y')], [...only(result, 'y.nodes')], [...only(result, 'y.scores')]]).toEqual([
      [7, 3],
      [-1, 1],
      [0, 3],
    ]);
  });

  it('work below a reduction', () => {
    const walk = descend({
      levels: 2,
      init: i32(0),
      yield: at('x', [index('k')]),
      next: right(op('gt', at('x', [index('k')]), f32(0))),
    });
    const ir = layer(
      [],
      [tensor('input', 'x', [2]), tensor('output', 'y', [3])],
      [define('y', [range('o', 3)], reduce('sum', [range('k', 2)], walk))],
    );
    const result = interpretLayer(traceLayer(ir), { tensors: { x: [5, -1] } });
    expect([...only(result, 'y.nodes')]).toEqual([0, 2, 0, 1]);
    expect([...only(result, 'y')]).toEqual([8, 8, 8]);
  });
});
