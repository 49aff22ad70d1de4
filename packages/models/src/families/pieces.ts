/**
 * The pieces that encoders are put together from: each adds one node to a graph and takes its tensors from the book.
 * Hidden states are tensors [B, S, width] which row-wise layers see as [T, width] with T = B·S.
 */
import { type Size, Sizes } from '@espalier/ir';
import { B, type GraphBuilder, S, TOKENS } from '../graphs/builder.ts';
import { SCALE_NORM } from './own-layers.ts';
import { type Extent, transposed, type WeightBook } from './weights.ts';

/** A graph under construction and the checkpoint it is made from. */
export interface Site {
  readonly graph: GraphBuilder;
  readonly book: WeightBook;
}

/** [B, S, width]. */
export const states = (width: number): readonly Size[] => [B, S, Sizes.constant(width)];

/** Rows that a row-wise layer runs over, and the shape of what it makes. */
export interface Rows {
  readonly count: Size;
  readonly shape: (width: number) => readonly Size[];
}

/** Every position: [B, S, width]. */
export const EVERY_POSITION: Rows = { count: TOKENS, shape: states };
/** One row a sequence: [B, width]. */
export const EACH_SEQUENCE: Rows = { count: B, shape: (width) => [B, Sizes.constant(width)] };
/** Every position, flattened: [B·S, width]. */
export const FLAT_POSITIONS: Rows = { count: TOKENS, shape: (width) => [TOKENS, Sizes.constant(width)] };
/** The positions asked for: [P, width]. */
export const ASKED_POSITIONS: Rows = {
  count: Sizes.dim('P'),
  shape: (width) => [Sizes.dim('P'), Sizes.constant(width)],
};

interface Step {
  readonly id: string;
  /** The tensor read. */
  readonly from: string;
  /** The tensor made. */
  readonly to: string;
}

export interface LinearSpec extends Step {
  readonly rows: Rows;
  readonly width: Extent;
  readonly out: Extent;
  /** The tensor [out, width] in the book. */
  readonly weight: string;
  /** The tensor [out] in the book; absent: no bias. */
  readonly bias?: string | undefined;
  readonly activation?: string;
}

/** y = activation(x · wᵀ + b). */
export function linear({ graph, book }: Site, spec: LinearSpec): string {
  const { width, out, bias } = spec;
  return graph.node({
    id: spec.id,
    layer: 'linear',
    fixed: { D: width.size, O: out.size },
    options: { activation: spec.activation ?? 'identity' },
    without: bias === undefined ? ['b'] : [],
    dims: { T: spec.rows.count },
    inputs: { x: spec.from },
    weights: {
      w: book.take(spec.weight, [out, width]),
      ...(bias === undefined ? {} : { b: book.take(bias, [out]) }),
    },
    output: { name: spec.to, shape: spec.rows.shape(out.size) },
  });
}

/** Which normalisation, and its eps. */
export interface NormKind {
  readonly kind: 'layer' | 'rms' | 'scale';
  readonly eps: number;
}

export interface NormSpec extends Step {
  readonly rows: Rows;
  readonly width: Extent;
  readonly norm: NormKind;
  /** What the names of its tensors start with, e.g. "final_norm". */
  readonly prefix: string;
}

/** Layer norm (`.weight`, `.bias`), or crammedBERT's RMS norm or scale norm (`.learnable_scale`, a vector or a scalar). */
export function norm(site: Site, spec: NormSpec): string {
  const { graph, book } = site;
  const { prefix, width, rows } = spec;
  const { kind, eps } = spec.norm;
  const weights = {
    layer: () => layerNormWeights(site, prefix, width),
    rms: () => ({ g: book.take(`${prefix}.learnable_scale`, [width]) }),
    scale: () => ({ g: book.take(`${prefix}.learnable_scale`, [], { shape: [1] }) }),
  }[kind];
  return graph.node({
    id: spec.id,
    layer: { layer: 'layer_norm', rms: 'rms_norm', scale: SCALE_NORM }[kind],
    fixed: { D: width.size },
    options: { eps },
    dims: { T: rows.count },
    inputs: { x: spec.from },
    weights: weights(),
    output: { name: spec.to, shape: rows.shape(width.size) },
  });
}

export interface AddNormSpec extends NormSpec {
  /** The tensor of the residual connection. */
  readonly skip: string;
  /** The name that their sum goes by, where something else reads it too. */
  readonly sum?: string;
}

/** norm(skip + from): one node for a layer norm, two for other kinds. */
export function addNorm(site: Site, spec: AddNormSpec): string {
  const { id, from, skip, sum, to, width, rows, prefix } = spec;
  if (spec.norm.kind !== 'layer') {
    const added = residual(site, { id: `${id}.add`, from, skip, to: sum ?? `${id}.sum`, width, rows });
    return norm(site, { ...spec, from: added });
  }
  const shape = rows.shape(width.size);
  return site.graph.node({
    id,
    layer: sum === undefined ? 'add_norm' : 'residual_norm',
    fixed: { D: width.size },
    options: { eps: spec.norm.eps },
    dims: { T: rows.count },
    inputs: { x: skip, r: from },
    weights: layerNormWeights(site, prefix, width),
    output: { name: to, shape },
    ...(sum === undefined ? {} : { others: { z: { name: sum, shape } } }),
  });
}

const layerNormWeights = ({ book }: Site, prefix: string, width: Extent): { g: string; b: string } => ({
  g: book.take(`${prefix}.weight`, [width]),
  b: book.take(`${prefix}.bias`, [width]),
});

/** x + r, row by row. */
export function residual(
  { graph }: Site,
  spec: Step & { readonly skip: string; readonly width: Extent; readonly rows?: Rows },
): string {
  const { width, rows = EVERY_POSITION } = spec;
  return graph.node({
    id: spec.id,
    layer: 'add',
    fixed: { D: width.size },
    dims: { T: rows.count },
    inputs: { x: spec.skip, r: spec.from },
    output: { name: spec.to, shape: rows.shape(width.size) },
  });
}

export interface FeedforwardSpec extends Step {
  readonly rows?: Rows;
  readonly width: Extent;
  readonly middle: Extent;
  readonly activation: string;
  /** The two dense layers' names, without ".weight" and ".bias". */
  readonly into: string;
  readonly outof: string;
  readonly bias: boolean;
}

/** The dense feedforward block. */
export function feedforward({ graph, book }: Site, spec: FeedforwardSpec): string {
  const { width, middle, rows = EVERY_POSITION } = spec;
  return graph.node({
    id: spec.id,
    layer: 'ff',
    fixed: { D: width.size, H: middle.size, O: width.size },
    options: { activation: spec.activation },
    without: spec.bias ? [] : ['b1', 'b2'],
    dims: { T: rows.count },
    inputs: { x: spec.from },
    weights: {
      w1: book.take(`${spec.into}.weight`, [middle, width]),
      w2: book.take(`${spec.outof}.weight`, [width, middle]),
      ...(spec.bias
        ? { b1: book.take(`${spec.into}.bias`, [middle]), b2: book.take(`${spec.outof}.bias`, [width]) }
        : {}),
    },
    output: { name: spec.to, shape: rows.shape(width.size) },
  });
}

export interface TreeSpec extends Step {
  readonly rows?: Rows;
  readonly width: Extent;
  readonly trees: Extent;
  readonly depth: number;
  readonly activation: string;
  /** What the names of its tensors start with, e.g. "layers.0.ffn". */
  readonly prefix: string;
}

/**
 * Trees of neurons as the cramming program stores them: `linear_in` always has a bias, `linear_out` never; tree t owns rows
 * t·nodes … of `linear_in` and the same columns of `linear_out`, which becomes one row a node here, once.
 */
export function trees({ graph, book }: Site, spec: TreeSpec): string {
  const { width, prefix, rows = EVERY_POSITION } = spec;
  const nodes = 2 ** (spec.depth + 1) - 1;
  const [count, total] = [spec.trees.size, spec.trees.size * nodes];
  const neurons: Extent = { size: total, from: `${spec.trees.from}·(2^(intermed_depth + 1) − 1)` };
  return graph.node({
    id: spec.id,
    layer: 'fff',
    fixed: { D: width.size, O: width.size, trees: count, depth: spec.depth },
    options: { activation: spec.activation, rule: 'gt' },
    without: ['threshold'],
    dims: { T: rows.count },
    inputs: { x: spec.from },
    weights: {
      w1: book.take(`${prefix}.linear_in.weight`, [neurons, width], { shape: [count, nodes, width.size] }),
      b1: book.take(`${prefix}.linear_in.bias`, [neurons], { shape: [count, nodes] }),
      w2: book.take(`${prefix}.linear_out.weight`, [width, neurons], {
        shape: [count, nodes, width.size],
        data: transposed(width.size, total),
      }),
    },
    output: { name: spec.to, shape: rows.shape(width.size) },
  });
}

/** The rows asked for, [P, width]: index `positions` into B·S. */
export function askedRows({ graph }: Site, spec: Step & { readonly width: Extent }): string {
  const positions = graph.input('positions', 'i32', [Sizes.dim('P')]);
  return graph.node({
    id: spec.id,
    layer: 'rows',
    fixed: { D: spec.width.size },
    dims: { T: TOKENS, N: Sizes.dim('P') },
    inputs: { x: spec.from, at: positions },
    output: { name: spec.to, shape: ASKED_POSITIONS.shape(spec.width.size) },
  });
}

/** The mean over unmasked positions, of length 1: [B, width]. */
export function sentenceEmbedding({ graph }: Site, spec: Step & { readonly width: Extent }): string {
  return graph.node({
    id: spec.id,
    layer: 'masked_mean_pool',
    fixed: { D: spec.width.size },
    dims: { B, S },
    inputs: { x: spec.from, mask: 'attention_mask' },
    output: { name: spec.to, shape: EACH_SEQUENCE.shape(spec.width.size) },
  });
}

/** The first position of every sequence: [B, width]. */
export function firstToken({ graph }: Site, spec: Step & { readonly width: Extent }): string {
  return graph.node({
    id: spec.id,
    layer: 'first_token',
    fixed: { D: spec.width.size },
    dims: { B, S },
    inputs: { x: spec.from },
    output: { name: spec.to, shape: EACH_SEQUENCE.shape(spec.width.size) },
  });
}
