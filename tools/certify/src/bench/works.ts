/** What is timed: dense layers and blocks beside cuBLASLt, trees beside the dense blocks they stand for, at one token and at many. */
import { type Capabilities, cuda, type Target } from '@espalier/codegen';
import { type LayerIR, standardLayer } from '@espalier/ir';

/** How products are formed: `f32` exactly, `tf32` and `bf16` by tensor cores from rounded operands. */
export type Precision = 'f32' | 'tf32' | 'bf16';

/** A precision as the compiler takes it, and the largest difference allowed, relative to the largest value of the output. */
export const precisions: Readonly<
  Record<Precision, { readonly capabilities: Capabilities; readonly tolerance: number }>
> = {
  f32: { capabilities: {}, tolerance: 1e-4 },
  // tf32 keeps 10 bits of each factor, bf16 keeps 7.
  tf32: { capabilities: { 'tensor-cores': true }, tolerance: 5e-3 },
  bf16: { capabilities: { 'tensor-bf16': true }, tolerance: 4e-2 },
};
export const everyPrecision = Object.keys(precisions) as readonly Precision[];

/** Tokens that everything is timed at. */
export const tokenCounts = [1, 16, 128, 1024, 16384] as const;

/** A layer that is timed. */
export interface Work {
  /** "dense 768-3072". */
  readonly name: string;
  readonly layer: LayerIR;
  /** Where it is not to be compiled as the target does by itself. */
  readonly target?: Target;
  readonly precisions: readonly Precision[];
  /** Numbers of a token, in and out. */
  readonly depth: number;
  readonly columns: number;
  /** Operations a token, a multiplication and an addition counted as two. */
  readonly flops: number;
  /**
   * Bytes of weights: that any number of tokens must read at least once, or that every token reads for itself, mostly from caches.
   */
  readonly bytes: { readonly once: number } | { readonly eachToken: number };
}

/** What cuBLASLt is given: matrices one after another, without what else a layer does. */
export interface ProductWork {
  /** The name of the work it stands beside. */
  readonly name: string;
  /** Numbers of a token before, between and after the products. */
  readonly widths: readonly number[];
  /** Operations a token, of the work it stands beside. */
  readonly flops: number;
  /** What differs from the work of that name. */
  readonly note?: string;
}

const D = 768;
const H = 3072;
/** Neurons of a tree of twelve levels. */
const N = 4095;
const ELEMENT = 4;

const dense = (depth: number, columns: number): Work => ({
  name: `dense ${depth}-${columns}`,
  layer: standardLayer('linear', { dims: { D: depth, O: columns } }),
  precisions: everyPrecision,
  depth,
  columns,
  flops: 2 * depth * columns,
  bytes: { once: ELEMENT * depth * columns },
});

const block = (hidden: number): Work => ({
  name: `block ${D}-${hidden}-${D}`,
  layer: standardLayer('ff', { dims: { D, H: hidden, O: D } }),
  precisions: everyPrecision,
  depth: D,
  columns: D,
  flops: 4 * D * hidden,
  bytes: { once: ELEMENT * 2 * D * hidden },
});

function tree(trees: number, depth: number, storage: 'f32' | 'f16'): Work {
  const dims = { D, O: D, trees, depth };
  const visited = trees * (depth + 1);
  return {
    name: `tree ${trees}x${depth} of ${D}${storage === 'f16' ? ', f16 weights' : ''}`,
    layer: standardLayer('fff', { dims, without: ['threshold'], storage: { w1: storage, w2: storage } }),
    precisions: ['f32'],
    depth: D,
    columns: D,
    flops: visited * 4 * D,
    bytes: { eachToken: visited * 2 * D * (storage === 'f16' ? 2 : ELEMENT) },
  };
}

/** A tree that no second cache holds: 201 MB. Many walks are sorted on their way there; to see what that does, it is walked as it comes, too. */
const large = tree(1, 14, 'f32');
export const namesOfLarge = { sorted: large.name, asTheyCome: `${large.name}, walks as they come` } as const;
const asTheyCome: Target = {
  ...cuda,
  variants: (unit, capabilities, layer) =>
    cuda.variants(unit, capabilities, layer).flatMap((v) => {
      if (v.form.form === 'sorted') return [];
      const { below: _, ...rest } = v;
      return v.name === '' ? [rest] : [v];
    }),
};

/** The tree that stands for a block of `N` neurons, and that block: the summary compares them. */
export const namesOfTree = { tree: `tree 1x11 of ${D}`, halfTree: `tree 1x11 of ${D}, f16 weights` } as const;
export const nameOfDense = `block ${D}-${N}-${D}`;

export const works: readonly Work[] = [
  dense(D, H),
  dense(H, D),
  block(H),
  block(N),
  tree(1, 11, 'f32'),
  tree(1, 11, 'f16'),
  tree(3, 9, 'f32'),
  large,
  { ...large, name: namesOfLarge.asTheyCome, target: asTheyCome },
];

const IN_ITS_FAVOUR = 'products alone, without biases and GELU';

export const products: readonly ProductWork[] = [
  { name: `dense ${D}-${H}`, widths: [D, H], flops: 2 * D * H, note: 'without the bias' },
  { name: `dense ${H}-${D}`, widths: [H, D], flops: 2 * D * H, note: 'without the bias' },
  { name: `block ${D}-${H}-${D}`, widths: [D, H, D], flops: 4 * D * H, note: IN_ITS_FAVOUR },
  // Rows of 4095 numbers are not aligned, which costs the library much; whoever uses it would make them 4096.
  { name: nameOfDense, widths: [D, N + 1, D], flops: 4 * D * N, note: `${IN_ITS_FAVOUR}, ${N + 1} wide for alignment` },
];

/** Whole encoders in the shapes of BERT-base and UltraFastBERT-1x11. */
export const encoders = [
  { name: 'BERT-base-shaped', block: 'dense' },
  { name: 'UltraFastBERT-1x11-shaped', block: 'tree' },
] as const;
export const encoderBatches = [1, 32] as const;
export const SEQUENCE = 128;
