/**
 * Collections of single layers: folders with a config.json that lists layers by name, and weights prefixed with those names.
 * They hold no model; each layer becomes a small graph of its own, to compile, run and compare.
 *
 * `model_type` says which program the layers come from:
 * - `layers`: crammedBERT's dense block (`ff`) and trees (`fff`), BERT's feedforward chunk with residual and norm (`bertff`);
 * - `fff_bmm`: the tree of UltraFastBERT's `benchmark_pytorch/fff/fff_bmm.py`: no bias, and a score of 0 goes right;
 * - `fastfeedforward`: the tree with leaf networks of pbelcak/fastfeedforward.
 */
import { type Graph, type Size, Sizes } from '@espalier/ir';
import { graphBuilder } from '../graphs/builder.ts';
import { huggingFaceActivation, torchActivation } from './activations.ts';
import { type ConfigSection, configSection, shown } from './config.ts';
import { type CheckpointData, configFile, type TreeNode } from './model.ts';
import { feedforward, norm, type Rows, residual, type Site, trees } from './pieces.ts';
import { type Extent, extent, weightBook } from './weights.ts';

/** One layer of a collection. */
export interface LayerModel {
  /** As in config.json; golden tensors are named `<name>.x`, `<name>.y`, … */
  readonly name: string;
  readonly kind: LayerKind;
  /** Dim T (rows); input `x` f32 [T, width]. */
  readonly graph: Graph;
  /** Width of `x`. */
  readonly width: number;
  /**
   * Names as in reference data, without the layer's prefix → tensors of the graph. `y`; or for a tree with leaf networks
   * `eval_v020` (the published evaluation), `eval` (the same without the leaves' output bias) and `train_hard` (a score of 0
   * goes left).
   */
  readonly outputs: ReadonlyMap<string, string>;
  /** `layer` is 0. */
  readonly treeNodes: readonly TreeNode[];
}

export type LayerKind = 'ff' | 'fff' | 'bertff' | 'fff_bmm' | 'leaf_fff';

/** Whether config.json describes a collection of layers rather than a model. */
export function isLayerCollection(config: unknown): boolean {
  return COLLECTIONS.has((config as { readonly model_type?: unknown } | null | undefined)?.model_type);
}

const COLLECTIONS: ReadonlySet<unknown> = new Set(['layers', 'fff_bmm', 'fastfeedforward']);

/**
 * One graph for each layer of a collection, in the order of config.json.
 *
 * @throws CheckpointError M100 when it is no collection, M101…M106 for what is wrong with it
 */
export function layerModels(checkpoint: CheckpointData): readonly LayerModel[] {
  const config = configSection(checkpoint.config, configFile(checkpoint));
  const type = config.text('model_type');
  if (!COLLECTIONS.has(type))
    throw config.error('M100', 'model_type', `is ${shown(type)}, which is no layer collection`);
  const book = weightBook(checkpoint.tensors, { canonical: (name) => name, spelled: (name) => name }, checkpoint.name);
  const unfinished = config.list('layers').map((layer) => {
    const kind = type === 'layers' ? layer.text('kind') : type === 'fff_bmm' ? 'fff_bmm' : 'leaf_fff';
    const make = Object.hasOwn(MAKERS, kind) ? MAKERS[kind as LayerKind] : undefined;
    if (make === undefined) {
      const hint = 'Supported: ff, fff, bertff.';
      throw layer.error('M102', 'kind', `is ${shown(kind)}, a layer that is not supported`, hint);
    }
    const name = layer.text('name');
    const graph = graphBuilder(name, ['T']);
    return { name, kind: kind as LayerKind, graph, ...make({ graph, book }, layer, name) };
  });
  const weights = book.settle();
  return unfinished.map(({ graph, ...layer }) => ({
    ...layer,
    graph: graph.finish([...new Set(layer.outputs.values())], weights),
  }));
}

type Made = Pick<LayerModel, 'width' | 'outputs' | 'treeNodes'>;
type Maker = (site: Site, config: ConfigSection, name: string) => Made;

const T: Size = Sizes.dim('T');
const ROWS: Rows = { count: T, shape: (width) => [T, Sizes.constant(width)] };

const only = (tensor: string): ReadonlyMap<string, string> => new Map([[tensor, tensor]]);

function input(site: Site, width: Extent): string {
  return site.graph.input('x', 'f32', ROWS.shape(width.size));
}

const MAKERS: { readonly [K in LayerKind]: Maker } = {
  ff(site, config, name) {
    const width = extent(config.integer('hidden_size', 1), 'hidden_size');
    const middle = extent(config.integer('intermed_size', 1), 'intermed_size');
    feedforward(site, {
      id: 'ff',
      from: input(site, width),
      to: 'y',
      rows: ROWS,
      width,
      middle,
      activation: 'gelu',
      into: `${name}.dense_in`,
      outof: `${name}.dense_out`,
      bias: config.flag('bias'),
    });
    return { width: width.size, outputs: only('y'), treeNodes: [] };
  },

  fff(site, config, name) {
    const width = extent(config.integer('width', 1), 'width');
    trees(site, {
      id: 'fff',
      from: input(site, width),
      to: 'y',
      rows: ROWS,
      width,
      trees: extent(config.integer('parallel_size', 1), 'parallel_size'),
      depth: config.integer('depth', 0),
      activation: torchActivation(config, 'nonlin').activation,
      prefix: name,
    });
    return { width: width.size, outputs: only('y'), treeNodes: [{ layer: 0, node: 'fff', tensor: 'y' }] };
  },

  bertff(site, config, name) {
    const width = extent(config.integer('hidden_size', 1), 'hidden_size');
    const x = input(site, width);
    const fed = feedforward(site, {
      id: 'ff',
      from: x,
      to: 'fed',
      rows: ROWS,
      width,
      middle: extent(config.integer('intermediate_size', 1), 'intermediate_size'),
      activation: huggingFaceActivation(config, 'hidden_act', 'gelu'),
      into: `${name}.intermediate.dense`,
      outof: `${name}.output.dense`,
      bias: true,
    });
    const sum = residual(site, { id: 'add', from: fed, skip: x, to: 'sum', width, rows: ROWS });
    const kind = { kind: 'layer', eps: config.positive('layer_norm_eps', 1e-12) } as const;
    norm(site, { id: 'norm', from: sum, to: 'y', rows: ROWS, width, norm: kind, prefix: `${name}.output.LayerNorm` });
    return { width: width.size, outputs: only('y'), treeNodes: [] };
  },

  fff_bmm({ graph, book }, config, name) {
    const width = extent(config.integer('input_width', 1), 'input_width');
    const out = extent(config.integer('output_width', 1), 'output_width');
    const depth = config.integer('depth', 0);
    const nodes = extent(2 ** (depth + 1) - 1, '2^(depth + 1) − 1');
    graph.node({
      id: 'fff',
      layer: 'fff',
      fixed: { D: width.size, O: out.size, trees: 1, depth },
      options: { activation: 'gelu', rule: 'ge' },
      without: ['b1', 'threshold'],
      dims: { T },
      inputs: { x: input({ graph, book }, width) },
      weights: {
        w1: book.take(`${name}.w1s`, [nodes, width], { shape: [1, nodes.size, width.size] }),
        w2: book.take(`${name}.w2s`, [nodes, out], { shape: [1, nodes.size, out.size] }),
      },
      // The original does not squeeze its [batch, 1, out].
      output: { name: 'y', shape: [T, Sizes.constant(1), Sizes.constant(out.size)] },
    });
    return { width: width.size, outputs: only('y'), treeNodes: [{ layer: 0, node: 'fff', tensor: 'y' }] };
  },

  leaf_fff({ graph, book }, config, name) {
    const width = extent(config.integer('input_width', 1), 'input_width');
    const middle = extent(config.integer('leaf_width', 1), 'leaf_width');
    const out = extent(config.integer('output_width', 1), 'output_width');
    const depth = config.integer('depth', 0);
    const [nodes, leaves] = [extent(2 ** depth - 1, '2^depth − 1'), extent(2 ** depth, '2^depth')];
    const activation = huggingFaceActivation(config, 'activation', 'relu');
    const x = input({ graph, book }, width);
    const common = {
      node_w: book.take(`${name}.node_weights`, [nodes, width]),
      node_b: book.take(`${name}.node_biases`, [nodes, extent(1, '1')], { shape: [nodes.size] }),
      w1: book.take(`${name}.w1s`, [leaves, width, middle]),
      b1: book.take(`${name}.b1s`, [leaves, middle]),
      w2: book.take(`${name}.w2s`, [leaves, middle, out]),
    };
    const b2 = book.take(`${name}.b2s`, [leaves, out]);
    book.ignore(`${name}.depth`);
    const variant = (tensor: string, rule: 'ge' | 'gt', biased: boolean): string =>
      graph.node({
        id: tensor,
        layer: 'leaf_fff',
        fixed: { D: width.size, W: middle.size, O: out.size, depth },
        options: { activation, rule },
        without: biased ? [] : ['b2'],
        dims: { T },
        inputs: { x },
        weights: biased ? { ...common, b2 } : common,
        output: { name: tensor, shape: ROWS.shape(out.size) },
      });
    const made = [variant('eval_v020', 'ge', true), variant('eval', 'ge', false), variant('train_hard', 'gt', true)];
    return {
      width: width.size,
      outputs: new Map(made.map((tensor) => [tensor, tensor])),
      treeNodes: made.map((tensor) => ({ layer: 0, node: tensor, tensor })),
    };
  },
};
