/** Walks of every kind, with their routes: layers that nobody has written a strategy for. */
import { layerFromText, traceLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import {
  at,
  descend,
  f32,
  i32,
  layer,
  local,
  op,
  range,
  read,
  reduce,
  select,
  sizeOf,
  statement,
  tensor,
} from './expressions.ts';
import { compareLayer } from './reference.ts';

const texts: Readonly<Record<string, { text: string; fixed: Record<string, number>; most?: number }>> = {
  'a ternary tree': {
    text: `layer ternary(T, D, O, depth) {
      let nodes = (3^(depth + 1) - 1) // 2
      input x[T, D]
      weight w[nodes, D], out[nodes, O]
      output y[t, o] = descend n = 0 for depth + 1 {
        s = sum i: x[t, i] * w[n, i]
        yield s * out[n, o]
        n <- 3 * n + 1 + (s > -0.5) + (s > 0.5)
      }
    }`,
    fixed: { D: 5, O: 3, depth: 2 },
  },
  'product keys': {
    text: `layer product_keys(T, D, K, O) {
      input x[T, D]
      weight left[K, D], right[K, D], value[K, K, O]
      p[t, c] = sum i: x[t, i] * left[c, i]
      q[t, c] = sum i: x[t, i] * right[c, i]
      a[t] = argmax c: p[t, c]
      b[t] = argmin c: q[t, c]
      output y[t, o] = value[a[t], b[t], o] * p[t, a[t]]
    }`,
    fixed: { D: 5, K: 4, O: 3 },
  },
  'gates on the way down': {
    text: `layer gated_tree(T, D, O, trees, depth) {
      let nodes = 2^(depth + 1) - 1
      input x[T, D]
      weight w[trees, nodes, D], gate[trees, nodes, D], out[trees, nodes, O]
      output y[t, o] = sum k: descend n = 0 for depth + 1 {
        s = sum i: x[t, i] * w[k, n, i]
        g = 1 / (1 + exp(-(sum j: x[t, j] * gate[k, n, j])))
        yield max(s, 0) * g * out[k, n, o]
        n <- 2 * n + 1 + (if g > 0.5 then s > 0 else s > 0.1)
      }
    }`,
    fixed: { D: 5, O: 3, trees: 2, depth: 3 },
  },
  'a leaf that is read by a result': {
    text: `layer leaf_row(T, D, O, depth) {
      let nodes = 2^depth - 1
      let leaves = 2^depth
      input x[T, D]
      weight w[nodes, D], rows[leaves, O]
      output y[t, o] = descend n = 0 for depth { n <- 2 * n + 1 + ((sum i: x[t, i] * w[n, i]) >= 0) } return rows[n - nodes, o]
    }`,
    fixed: { D: 5, O: 3, depth: 3 },
  },
};

describe('descents', () => {
  for (const [name, { text, fixed }] of Object.entries(texts)) {
    it.each([6, 1, 0])(`${name}, %d tokens`, async (T) => {
      await compareLayer(traceLayer(layerFromText(text, { dims: fixed })), { dims: { T }, seed: 21 });
    });
  }

  const x = tensor('input', 'x', ['T', 5]);
  const t = range('t', 'T');
  const i = range('i', 5);
  const n = local('n', 'i32');
  const child = (right: ReturnType<typeof op>) =>
    op('add', op('add', op('mul', i32(2), n), i32(1)), op('to_i32', right));

  it('starts where an input says, and yields integers', async () => {
    const ir = layer(
      ['T'],
      [tensor('input', 'start', ['T'], 'i32'), tensor('weight', 'jump', [7], 'i32')],
      [
        statement(
          'y',
          [t],
          descend({
            node: 'n',
            init: read('start', ['t'], 'i32'),
            levels: 4,
            yields: n,
            next: read('jump', [n], 'i32'),
          }),
        ),
        statement(
          'z',
          [t],
          descend({ node: 'n', init: read('start', ['t'], 'i32'), levels: 0, next: n, result: op('mul', n, i32(10)) }),
        ),
        statement('zero', [t], descend({ node: 'n', levels: 0, yields: f32(3), next: n })),
      ],
    );
    for (const T of [0, 5]) await compareLayer(traceLayer(ir), { dims: { T }, seed: 22, most: 7 });
  });

  it('a walk in a walk', async () => {
    const m = local('m', 'i32');
    const inner = descend({
      node: 'm',
      init: n,
      levels: 2,
      next: op('mod', op('add', op('mul', m, i32(2)), i32(1)), i32(7)),
      result: m,
    });
    const score = reduce('sum', [i], op('mul', read('x', ['t', 'i']), read('w', [inner, 'i'])));
    const s = local('s', 'f32');
    const outer = descend({ node: 'n', levels: 3, lets: [['s', score]], yields: s, next: child(op('gt', s, f32(0))) });
    const ir = layer(['T'], [x, tensor('weight', 'w', [7, 5])], [statement('y', [t], outer)]);
    await compareLayer(traceLayer(ir), { dims: { T: 6 }, seed: 23 });
  });

  it('scores: several comparisons, branches, comparisons inside a reduction, none', async () => {
    const w = (column: number) => read('w', [n, column]);
    const a = op('sub', read('x', ['t', 0]), w(0));
    const b = op('sub', read('x', ['t', 1]), w(1));
    const votes = reduce('sum', [i], op('to_i32', op('gt', op('add', read('x', ['t', 'i']), w(2)), f32(0.25))));
    const flag = local('flag', 'bool');
    const even = op('eq', op('mod', at('t'), i32(2)), i32(0));
    const walk = (next: ReturnType<typeof op>, lets: readonly (readonly [string, ReturnType<typeof op>])[] = []) =>
      descend({ node: 'n', levels: 3, lets, yields: op('add', a, w(3)), next });
    const ir = layer(
      ['T'],
      [x, tensor('weight', 'w', [7, 5])],
      [
        statement('both', [t], walk(child(op('and', op('gt', a, f32(0)), op('lt', b, f32(0.2)))))),
        statement('branch', [t], walk(child(select(op('gt', a, f32(0)), op('gt', b, f32(0)), op('lt', b, f32(-0.5)))))),
        statement('vote', [t], walk(child(op('gt', votes, i32(2))))),
        statement('named', [t], walk(child(flag), [['flag', op('ge', b, f32(0.1))]])),
        statement('plain', [t], walk(op('mod', op('add', n, at('t')), i32(7)))),
        statement('either', [t], walk(child(select(even, op('gt', b, f32(0)), op('lt', a, f32(0.3)))))),
        statement(
          'chain',
          [t],
          walk(child(flag), [
            ['unused', op('gt', a, f32(0.01))],
            ['first', op('gt', a, f32(0))],
            ['flag', op('and', local('first', 'bool'), op('lt', b, f32(0.2)))],
          ]),
        ),
        statement(
          'maybe',
          [t],
          walk(
            child(
              select(op('eq', op('mod', at('t'), i32(2)), i32(0)), op('gt', b, f32(0)), op('eq', sizeOf('T'), i32(1))),
            ),
          ),
        ),
      ],
    );
    await compareLayer(traceLayer(ir), { dims: { T: 9 }, seed: 24 });
  });

  it('a sum over trees of long rows is not spread over both', async () => {
    const text = texts['gates on the way down']?.text ?? '';
    const layer = traceLayer(layerFromText(text, { dims: { D: 3, O: 4, trees: 5, depth: 1 } }));
    const tensors = await compareLayer(layer, { dims: { T: 7 }, seed: 25 });
    expect(new Set(tensors['y.nodes']).size).toBeGreaterThan(2);
  });
});
