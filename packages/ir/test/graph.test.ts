/** Graphs: that mistakes in them are named, and that they run node after node. */
import { describe, expect, it } from 'vitest';
import {
  checkGraph,
  type Graph,
  GraphError,
  type GraphErrorCode,
  type GraphNode,
  type GraphTensor,
  InterpretError,
  interpretGraph,
  interpretLayer,
  Sizes,
  standardLayer,
  traceLayer,
  type WeightTensor,
} from '../src/index.ts';
import { random, randomArray } from './support/hand-ir.ts';
import { furthest, only } from './support/results.ts';

const [B, S] = [Sizes.dim('B'), Sizes.dim('S')];
const tokens = Sizes.multiply(B, S);
const byName = <T extends { readonly name: string }>(items: readonly T[]): ReadonlyMap<string, T> =>
  new Map(items.map((item) => [item.name, item]));
const pairs = (entries: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(entries));
const tensor = (name: string, ...shape: readonly Sizes.Size[]): GraphTensor => ({ name, storage: 'f32', shape });

const next = random(4);
const weight = (name: string, ...shape: readonly number[]): WeightTensor => ({
  name,
  storage: 'f32',
  shape,
  data: randomArray(
    shape.reduce((p, n) => p * n, 1),
    next,
  ),
});

const D = 4;
const embedding = standardLayer('embedding', { dims: { V: 5, D } });
const fff = standardLayer('fff', { dims: { D, O: D, trees: 2, depth: 2 }, without: ['threshold'] });
const add = standardLayer('add', { dims: { D } });
const pool = standardLayer('mean_pool', { dims: { D } });
const T = new Map([['T', tokens]]);

/** ids → embedding → x + fff(x), twice with other weights → mean over the sequence. */
const graph: Graph = {
  name: 'small',
  dims: ['B', 'S'],
  tensors: byName([
    { name: 'ids', storage: 'i32', shape: [B, S] },
    ...['x.0', 'f.0', 'x.1', 'f.1', 'x.2'].map((name) => tensor(name, B, S, Sizes.constant(D))),
    tensor('pooled', B, Sizes.constant(D)),
  ]),
  inputs: ['ids'],
  outputs: ['pooled'],
  nodes: [
    {
      id: 'embedding',
      layer: embedding,
      dims: T,
      tensors: pairs({ ids: 'ids', y: 'x.0' }),
      weights: pairs({ table: 'table' }),
    },
    ...[0, 1].flatMap((i): readonly GraphNode[] => [
      {
        id: `layers.${i}.ffn`,
        layer: fff,
        dims: T,
        tensors: pairs({ x: `x.${i}`, y: `f.${i}` }),
        weights: pairs({ w1: `w1.${i}`, b1: `b1.${i}`, w2: `w2.${i}` }),
      },
      {
        id: `layers.${i}.add`,
        layer: add,
        dims: T,
        tensors: pairs({ x: `x.${i}`, r: `f.${i}`, y: `x.${i + 1}` }),
        weights: new Map(),
      },
    ]),
    {
      id: 'pool',
      layer: pool,
      dims: new Map([
        ['B', B],
        ['S', S],
      ]),
      tensors: pairs({ x: 'x.2', y: 'pooled' }),
      weights: new Map(),
    },
  ],
  weights: byName([
    weight('table', 5, D),
    ...[0, 1].flatMap((i) => [weight(`w1.${i}`, 2, 7, D), weight(`b1.${i}`, 2, 7), weight(`w2.${i}`, 2, 7, D)]),
  ]),
};

const node = (id: string, change: Partial<GraphNode>): Graph => ({
  ...graph,
  nodes: graph.nodes.map((each) => (each.id === id ? { ...each, ...change } : each)),
});
const withTensor = (changed: GraphTensor, key = changed.name): Graph => ({
  ...graph,
  tensors: new Map(graph.tensors).set(key, changed),
});
const withWeight = (changed: WeightTensor, key = changed.name): Graph => ({
  ...graph,
  weights: new Map(graph.weights).set(key, changed),
});

describe('checkGraph', () => {
  it('accepts a sound graph, with views of the same element count', () => {
    expect(() => checkGraph(graph)).not.toThrow();
  });

  const ffn = 'layers.0.ffn';
  const bindings = { x: 'x.0', y: 'f.0' };
  const weights = { w1: 'w1.0', b1: 'b1.0', w2: 'w2.0' };
  const cases: readonly (readonly [string, GraphErrorCode, string | null, string | null, string, Graph])[] = [
    ['a dim twice', 'graph-dims', null, null, 'dim B is listed twice', { ...graph, dims: ['B', 'S', 'B'] }],
    [
      'a size over an unknown dim',
      'graph-dims',
      null,
      'f.0',
      'uses dim Q; the graph has B, S',
      withTensor(tensor('f.0', Sizes.dim('Q'))),
    ],
    [
      'a dim of a node over an unknown dim',
      'graph-dims',
      ffn,
      null,
      'T is Q',
      node(ffn, { dims: new Map([['T', Sizes.dim('Q')]]) }),
    ],
    [
      'an input that is no tensor',
      'graph-tensor',
      null,
      'mask',
      'input mask is no tensor',
      { ...graph, inputs: ['ids', 'mask'] },
    ],
    [
      'an output that is no tensor',
      'graph-tensor',
      null,
      'logits',
      'output logits is no tensor',
      { ...graph, outputs: ['logits'] },
    ],
    [
      'an output twice',
      'graph-tensor',
      null,
      'pooled',
      'output pooled is listed twice',
      { ...graph, outputs: ['pooled', 'pooled'] },
    ],
    [
      'a tensor under another name',
      'graph-tensor',
      null,
      'g',
      'tensor f.9 is listed under the name g',
      withTensor(tensor('f.9', B), 'g'),
    ],
    [
      'a binding to an unknown tensor',
      'graph-tensor',
      ffn,
      'f.7',
      'output y is bound to f.7',
      node(ffn, { tensors: pairs({ ...bindings, y: 'f.7' }) }),
    ],
    [
      'a weight under another name',
      'graph-weight',
      null,
      'u',
      'weight v is listed under the name u',
      withWeight(weight('v', 1), 'u'),
    ],
    [
      'a weight of too few elements',
      'graph-weight',
      null,
      'v',
      '[2, 3], so 6 elements; its data is a Float32Array of 5',
      withWeight({ ...weight('v', 5), shape: [2, 3] }),
    ],
    [
      'a weight in another array than its storage',
      'graph-weight',
      null,
      'v',
      'v is f16',
      withWeight({ ...weight('v', 5), storage: 'f16' }),
    ],
    [
      'an unknown weight',
      'graph-weight',
      ffn,
      'w9',
      'weight w1 is bound to w9',
      node(ffn, { weights: pairs({ ...weights, w1: 'w9' }) }),
    ],
    ['two nodes of one id', 'node-id', ffn, null, 'same id', node('layers.1.ffn', { id: ffn })],
    ['a dim without a size', 'node-dims', ffn, null, 'dim T of layer fff has no size', node(ffn, { dims: new Map() })],
    [
      'a size for no dim',
      'node-dims',
      ffn,
      null,
      'no runtime dim S; it has T',
      node(ffn, { dims: new Map([...T, ['S', S]]) }),
    ],
    [
      'an unbound input',
      'node-binding',
      ffn,
      'x',
      'input x[T, 4] of layer fff is not bound',
      node(ffn, { tensors: pairs({ y: 'f.0' }) }),
    ],
    [
      'a binding of nothing',
      'node-binding',
      ffn,
      'z',
      'no input or output z',
      node(ffn, { tensors: pairs({ ...bindings, z: 'x.0' }) }),
    ],
    [
      'an unbound weight',
      'node-binding',
      ffn,
      'b1',
      'weight b1[2, 7] of layer fff is not bound',
      node(ffn, { weights: pairs({ w1: 'w1.0', w2: 'w2.0' }) }),
    ],
    [
      'a weight the layer lacks',
      'node-binding',
      ffn,
      'b2',
      'no weight b2; it has w1, b1, w2',
      node(ffn, { weights: pairs({ ...weights, b2: 'b1.0' }) }),
    ],
    [
      'a weight of another shape',
      'shape-mismatch',
      ffn,
      'b1.0',
      'weight w1 has shape [2, 7, 4], but b1.0 has [2, 7]',
      node(ffn, { weights: pairs({ ...weights, w1: 'b1.0' }) }),
    ],
    [
      'another element count',
      'shape-mismatch',
      'pool',
      'x.2',
      'input x[B, S, 4] is [B, B, 4] here, 4*B*B elements, but tensor x.2 has shape [B, S, 4], 4*B*S elements',
      node('pool', {
        dims: new Map([
          ['B', B],
          ['S', B],
        ]),
      }),
    ],
    [
      'another storage',
      'storage-mismatch',
      ffn,
      'ids',
      'input x is f32, but tensor ids is i32',
      node(ffn, { tensors: pairs({ ...bindings, x: 'ids' }) }),
    ],
    [
      'a weight of another storage',
      'storage-mismatch',
      ffn,
      'w1.0',
      'weight w1 is f32, but w1.0 is f16',
      withWeight({ name: 'w1.0', storage: 'f16', shape: [2, 7, D], data: new Uint16Array(14 * D) }),
    ],
    [
      'reading ahead',
      'order',
      ffn,
      'x.1',
      'reads tensor x.1 before',
      node(ffn, { tensors: pairs({ ...bindings, x: 'x.1' }) }),
    ],
    [
      'reading its own output',
      'order',
      ffn,
      'f.0',
      'reads tensor f.0 before',
      node(ffn, { tensors: pairs({ x: 'f.0', y: 'f.0' }) }),
    ],
    [
      'writing twice',
      'written-twice',
      'layers.1.ffn',
      'f.0',
      'which was written by node layers.0.ffn',
      node('layers.1.ffn', { tensors: pairs({ x: 'x.1', y: 'f.0' }) }),
    ],
    [
      'a tensor nobody writes',
      'never-written',
      null,
      'spare',
      'no node writes tensor spare',
      withTensor(tensor('spare', B)),
    ],
  ];
  it.each(cases)('names %s', (_what, code, nodeId, subject, text, wrong) => {
    let error: unknown;
    try {
      checkGraph(wrong);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof GraphError)) throw new Error(`expected a GraphError, got ${String(error)}`);
    expect([error.code, error.node, error.tensor]).toEqual([code, nodeId, subject]);
    expect(error.message).toContain(text);
    if (nodeId !== null) expect(error.message).toMatch(new RegExp(`^node ${nodeId}: `));
  });

  it('names an input of the graph that a node writes', () => {
    expect(() => checkGraph({ ...graph, inputs: ['ids', 'x.0'] })).toThrow(
      'writes tensor x.0, which is an input of the graph',
    );
  });
});

describe('interpretGraph', () => {
  const ids = [0, 4, 2, 2, 1, 3];
  const run = { dims: { B: 2, S: 3 }, inputs: { ids } };

  it('computes what the layers compute one by one', () => {
    const seen: string[] = [];
    const { tensors, routes } = interpretGraph(graph, {
      ...run,
      onNode: (id, index, total) => seen.push(`${id} ${index}/${total}`),
    });
    expect(routes.size).toBe(0);
    expect([...tensors.keys()].sort()).toEqual([...graph.tensors.keys()].sort());
    expect(seen[0]).toBe('embedding 0/6');
    expect(seen.at(-1)).toBe('pool 5/6');
    const data = (name: string): ArrayLike<number> => graph.weights.get(name)?.data ?? [];
    let x: ArrayLike<number> = only(
      interpretLayer(embedding, { dims: { T: 6 }, tensors: { ids, table: data('table') } }),
      'y',
    );
    for (const i of [0, 1]) {
      const own = { w1: data(`w1.${i}`), b1: data(`b1.${i}`), w2: data(`w2.${i}`) };
      const f = only(interpretLayer(fff, { dims: { T: 6 }, tensors: { x, ...own } }), 'y');
      x = Float64Array.from(f, (value, k) => value + (x[k] ?? Number.NaN));
    }
    expect(tensors.get('x.2')).toEqual(x);
    const pooled = Float64Array.from({ length: 2 * D }, (_, k) => {
      const rows = [0, 1, 2].map((s) => x[(Math.floor(k / D) * 3 + s) * D + (k % D)] ?? Number.NaN);
      return rows.reduce((sum, value) => sum + value, 0) / 3;
    });
    expect(furthest(tensors.get('pooled') ?? [], pooled)).toBeLessThan(1e-15);
  });

  it('records routes by node, and their bounds', () => {
    const { tensors, routes } = interpretGraph(graph, { ...run, bounds: true });
    expect([...routes.keys()]).toEqual(['layers.0.ffn', 'layers.1.ffn']);
    const route = routes.get('layers.1.ffn') ?? {};
    expect(Object.keys(route).sort()).toEqual(['y.bounds', 'y.gains', 'y.nodes', 'y.scores']);
    expect(only(route, 'y.nodes')).toHaveLength(6 * 2 * 3);
    const data = (name: string): ArrayLike<number> => graph.weights.get(name)?.data ?? [];
    const alone = interpretLayer(traceLayer(fff), {
      dims: { T: 6 },
      tensors: { x: tensors.get('x.1') ?? [], w1: data('w1.1'), b1: data('b1.1'), w2: data('w2.1') },
    });
    expect(only(route, 'y.nodes')).toEqual(only(alone, 'y.nodes'));
    expect(only(route, 'y.scores')).toEqual(only(alone, 'y.scores'));
    const traced = interpretGraph(graph, { ...run, trace: true });
    expect(Object.keys(traced.routes.get('layers.0.ffn') ?? {}).sort()).toEqual(['y.nodes', 'y.scores']);
    expect(traced.tensors.get('pooled')).toEqual(tensors.get('pooled'));
  });

  it('refuses inputs and dims that do not fit, and names the node of a bad index', () => {
    const refused = (options: Parameters<typeof interpretGraph>[1]): string => {
      try {
        interpretGraph(graph, options);
      } catch (error) {
        if (error instanceof InterpretError) return `${error.code} ${error.subject}: ${error.message}`;
        throw error;
      }
      return 'nothing';
    };
    expect(refused({ dims: { B: 2 }, inputs: { ids } })).toContain(
      'missing-dim S: graph small needs a value for dim S',
    );
    expect(refused({ dims: { B: 2, S: 3, T: 6 }, inputs: { ids } })).toContain('unknown-dim T');
    expect(refused({ dims: { B: 2, S: -3 }, inputs: { ids } })).toContain('bad-dim S');
    expect(refused({ ...run, inputs: {} })).toBe(
      'missing-tensor ids: graph small needs input ids[B, S]: i32; got nothing',
    );
    expect(refused({ ...run, inputs: { ids, mask: [] } })).toContain('unknown-tensor mask');
    expect(refused({ ...run, inputs: { ids: [1, 2] } })).toContain(
      'input ids[B, S] has shape [2, 3], so 6 elements; got 2',
    );
    expect(refused({ ...run, inputs: { ids: [0, 0, 0, 0, 0, 5] } })).toContain(
      'out-of-range table: node embedding: index 1 of table is 5 at t = 5',
    );
  });

  it('runs on nothing', () => {
    const { tensors } = interpretGraph(graph, { dims: { B: 0, S: 3 }, inputs: { ids: [] } });
    expect(tensors.get('pooled')).toEqual(new Float64Array(0));
  });
});
