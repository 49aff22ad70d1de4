/** Whole graphs: names, views, shared weights, what is asked for, and what is refused. */
import {
  type Graph,
  GraphError,
  type GraphNode,
  type GraphTensor,
  interpretGraph,
  type LayerIR,
  layerFromText,
  Sizes,
  standardLayer,
} from '@espalier/ir';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { dimInputs, exportOnnx, OnnxExportError } from '../src/index.ts';
import { at, f32, i32, layer, op, range, read, statement, tensor } from './expressions.ts';
import { exportedNames } from './model.ts';
import { expectClose, graphOf, random, runOnnx } from './reference.ts';

const { constant, dim, multiply } = Sizes;
const B = dim('B');
const S = dim('S');
const D = 6;

const node = (
  id: string,
  layer: LayerIR,
  dims: Readonly<Record<string, Sizes.Size>>,
  tensors: Readonly<Record<string, string>>,
  weights: Readonly<Record<string, string>> = {},
): GraphNode => ({
  id,
  layer,
  dims: new Map(Object.entries(dims)),
  tensors: new Map(Object.entries(tensors)),
  weights: new Map(Object.entries(weights)),
});

/** Embedding, one attention block with a tree for its feedforward, and a pooler: every kind of binding there is. */
function encoder(): Graph {
  const tokens = { T: multiply(B, S) };
  const norm = standardLayer('layer_norm', { dims: { D } });
  const linear = standardLayer('linear', { dims: { D, O: D } });
  const next = random(77);
  const weight = (name: string, ...shape: readonly number[]) => {
    const data = Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, next);
    return [name, { name, storage: 'f32', shape, data }] as const;
  };
  const hidden = ['embedded', 'normed', 'q', 'k', 'v', 'mixed', 'residual', 'tree', 'last'];
  const shape = [B, S, constant(D)];
  return {
    name: 'encoder',
    dims: ['B', 'S'],
    tensors: new Map<string, GraphTensor>([
      ['ids', { name: 'ids', storage: 'i32', shape: [B, S] }],
      ['mask', { name: 'mask', storage: 'i32', shape: [B, S] }],
      ...hidden.map((name) => [name, { name, storage: 'f32', shape }] as const),
      ['pooled', { name: 'pooled', storage: 'f32', shape: [B, constant(D)] }],
    ]),
    inputs: ['ids', 'mask'],
    outputs: ['pooled', 'last'],
    nodes: [
      node(
        'embed',
        standardLayer('embedding', { dims: { V: 11, D } }),
        tokens,
        { ids: 'ids', y: 'embedded' },
        { table: 'word' },
      ),
      node('0.norm', norm, tokens, { x: 'embedded', y: 'normed' }, { g: 'g', b: 'b' }),
      ...['q', 'k', 'v'].map((name) =>
        node(`0.${name}`, linear, tokens, { x: 'normed', y: name }, { w: `w${name}`, b: 'b' }),
      ),
      node(
        '0.attention',
        standardLayer('attention', { dims: { heads: 2, width: 3 } }),
        { B, S },
        { q: 'q', k: 'k', v: 'v', mask: 'mask', y: 'mixed' },
        { scale: 'scale' },
      ),
      node('0.add', standardLayer('add', { dims: { D } }), tokens, { x: 'embedded', r: 'mixed', y: 'residual' }),
      node(
        '0.tree',
        standardLayer('fff', { dims: { D, O: D, trees: 2, depth: 2 } }),
        tokens,
        { x: 'residual', y: 'tree' },
        { w1: 'tw', b1: 'tb', w2: 'to', threshold: 'tb' },
      ),
      node('1.norm', norm, tokens, { x: 'tree', y: 'last' }, { g: 'g', b: 'b' }),
      node(
        'pool',
        standardLayer('masked_mean_pool', { dims: { D } }),
        { B, S },
        { x: 'last', mask: 'mask', y: 'pooled' },
      ),
    ],
    weights: new Map([
      weight('word', 11, D),
      weight('g', D),
      weight('b', D),
      ...['wq', 'wk', 'wv'].map((name) => weight(name, D, D)),
      weight('scale', 1),
      weight('tw', 2, 7, D),
      weight('tb', 2, 7),
      weight('to', 2, 7, D),
    ]),
  };
}

const inputs = (batch: number, length: number) => {
  const next = random(78);
  return {
    ids: Int32Array.from({ length: batch * length }, () => Math.floor((next() + 1) * 5.5)),
    mask: Int32Array.from({ length: batch * length }, (_, i) => (i % length === 0 || next() > -0.5 ? 1 : 0)),
  };
};

describe('a graph', () => {
  // As in reference.ts, for ten layers of sums of at most 11 terms; norms bring every tensor back to about 1.
  const tolerance = 10 * 32 * 11 * 2 ** -24;

  it.each([
    [2, 5],
    [1, 1],
    [3, 4],
    [0, 4],
    [2, 0],
  ])('of many layers, B = %d, S = %d', async (b, s) => {
    const graph = encoder();
    const dims = { B: b, S: s };
    const expected = interpretGraph(graph, { dims, inputs: inputs(b, s) });
    const actual = await runOnnx(graph, dims, inputs(b, s), { outputs: 'all' });
    expect([...actual.keys()].sort()).toEqual(
      [...expected.tensors.keys()].filter((name) => !graph.inputs.includes(name)).sort(),
    );
    for (const [name, { shape, data }] of actual) {
      const reference = expected.tensors.get(name);
      expect(shape, name).toEqual(
        graph.tensors.get(name)?.shape.map((size) => Sizes.evaluate(size, new Map(Object.entries(dims)))),
      );
      if (reference !== undefined) expectClose(name, data, reference, tolerance);
    }
  });

  it('gives back what was asked for, in order, and holds nothing else', async () => {
    const session = await InferenceSession.create(exportOnnx(encoder()));
    expect(session.inputNames).toEqual(['ids', 'mask']);
    expect(session.outputNames).toEqual(['pooled', 'last']);
    await session.release();
    const early = exportedNames(encoder(), { outputs: ['q', 'normed'] });
    expect(early.constants.filter((name) => encoder().weights.has(name)).sort()).toEqual(['b', 'g', 'word', 'wq']);
    expect(early.operators.some((name) => name.startsWith('0.k/'))).toBe(false);
    expect(early.operators.some((name) => name.startsWith('0.q/'))).toBe(true);
  });

  it('gives an input back when asked', async () => {
    const result = await runOnnx(encoder(), { B: 1, S: 2 }, inputs(1, 2), { outputs: ['mask', 'embedded'] });
    expect(result.get('mask')).toEqual({ shape: [1, 2], data: inputs(1, 2).mask });
  });

  it('is the same bytes each time', () => {
    expect(exportOnnx(encoder())).toEqual(exportOnnx(encoder()));
  });

  it('stores a weight once', () => {
    const { constants } = exportedNames(encoder());
    expect(constants.filter((name) => name === 'b' || name.startsWith('b_'))).toEqual(['b']);
  });
});

describe('runtime dims', () => {
  const both = multiply(B, S);
  const flat = layer(
    ['B', 'S'],
    [tensor('input', 'x', [both])],
    [
      statement(
        'y',
        [range('b', 'B'), range('s', 'S')],
        read('x', [
          op(
            'add',
            op('mul', at('b'), { kind: 'size', size: S, type: 'i32', span: { source: '', start: 0, end: 0 } }),
            at('s'),
          ),
        ]),
      ),
    ],
  );

  it('become inputs where no shape shows them', async () => {
    const graph = graphOf(flat, {});
    expect(dimInputs(graph)).toEqual(['B', 'S']);
    const x = Float32Array.from({ length: 6 }, (_, i) => i);
    const result = await runOnnx(graph, { B: 2, S: 3 }, { x });
    expect(result.get('y')).toEqual({ shape: [2, 3], data: x });
    await expect(runOnnx(graph, { B: 2, S: 4 }, { x: new Float32Array(8) })).resolves.toBeDefined();
  });

  it('are solved for in linear sizes', async () => {
    const odd = Sizes.add(multiply(constant(2), S), constant(1));
    const ir = layer(
      ['S'],
      [tensor('input', 'x', [odd])],
      [statement('y', [range('s', 'S')], read('x', [op('mul', i32(2), at('s'))]))],
    );
    const graph = graphOf(ir, {});
    expect(dimInputs(graph)).toEqual([]);
    const result = await runOnnx(graph, { S: 3 }, { x: Float32Array.of(0, 1, 2, 3, 4, 5, 6) });
    expect(result.get('y')).toEqual({ shape: [3], data: Float32Array.of(0, 2, 4) });
  });

  it('must agree between inputs: nothing is broadcast in silence', async () => {
    const graph = graphOf(standardLayer('add', { dims: { D: 2 } }), {});
    const bytes = exportOnnx(graph);
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 });
    const x = new Tensor('float32', new Float32Array(6), [3, 2]);
    const r = new Tensor('float32', new Float32Array(2), [1, 2]);
    await expect(session.run({ x, r })).rejects.toThrow(/[Rr]eshape/);
    await session.release();
  });
});

describe('refusals', () => {
  const codeOf = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      if (error instanceof OnnxExportError || error instanceof GraphError) return error.code;
      throw error;
    }
    return 'none';
  };

  it('an output the graph lacks', () => {
    expect(() => exportOnnx(encoder(), { outputs: ['hidden'] })).toThrowErrorMatchingInlineSnapshot(
      `[OnnxExportError: unknown-output: the graph encoder has no tensor hidden; it has ids, mask, embedded, normed, q, k, v, mixed, residual, tree, last, pooled. Name tensors of the graph (Graph.tensors), or ask for "all".]`,
    );
    expect(codeOf(() => exportOnnx(encoder(), { outputs: ['hidden'] }))).toBe('unknown-output');
  });

  it('a descent whose length is known only when it runs', () => {
    // The checker refuses this in text; a program that makes Layer IR can still ask for it.
    const ir = layerFromText(`layer deep(T) {
  input x[T]
  output y[t] = descend n = 0 for 2 { yield x[t] n <- n + 1 }
}`);
    const statements = ir.statements.map((statement) =>
      statement.value.kind === 'descend'
        ? { ...statement, value: { ...statement.value, levels: dim('T') } }
        : statement,
    );
    const graph = graphOf({ ...ir, statements }, {});
    expect(() => exportOnnx(graph)).toThrowErrorMatchingInlineSnapshot(
      `[OnnxExportError: runtime-levels: node only: layer:3:17: a descent has T levels, known only when it runs. Make the number of levels a compile-time dim: a descent is exported level by level.]`,
    );
    expect(codeOf(() => exportOnnx(graph))).toBe('runtime-levels');
  });

  it('a dim and a tensor of one name', () => {
    const ir = layer(['B', 'S'], [tensor('input', 'B', [multiply(B, S)])], [statement('y', [], f32(1))]);
    expect(codeOf(() => exportOnnx(graphOf(ir, {})))).toBe('name-collision');
  });

  it('weights that protobuf cannot hold', () => {
    // One buffer of 1 GiB, never touched, stands for three weights.
    const data = new Float32Array(2 ** 28);
    const names = ['a', 'b', 'c'];
    const sum = names.map((name) => read(name, ['i'])).reduce((x, y) => op('add', x, y));
    const ir = layer(
      [],
      names.map((name) => tensor('weight', name, [2 ** 28])),
      [statement('y', [range('i', 2 ** 28)], sum)],
    );
    const graph = graphOf(ir, { a: data, b: data, c: data });
    expect(() => exportOnnx(graph)).toThrowErrorMatchingInlineSnapshot(
      `[OnnxExportError: too-large: the model test holds 3221225472 bytes, and a protobuf message ends at 2147483647. Export fewer layers at a time (options.outputs leaves out what nobody asked for), or store weights as f16.]`,
    );
    expect(codeOf(() => exportOnnx(graph))).toBe('too-large');
  });

  it('a graph that is not sound', () => {
    const graph = encoder();
    expect(codeOf(() => exportOnnx({ ...graph, nodes: graph.nodes.slice(1) }))).toBe('order');
    expect(codeOf(() => exportOnnx({ ...graph, weights: new Map() }))).toBe('graph-weight');
  });
});
