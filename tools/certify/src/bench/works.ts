/** What is timed: dense layers beside cuBLASLt, a tree beside the dense layer it stands for, at few tokens and at many. */
import type { Capabilities } from '@espalier/codegen';
import { type LayerIR, standardLayer } from '@espalier/ir';

/** How products are formed: `f32` exactly, `tf32` and `bf16` by tensor cores from rounded operands. */
export type Precision = 'f32' | 'tf32' | 'bf16';

export interface Work {
  /** "dense 768-3072, f32". */
  readonly name: string;
  readonly layer: LayerIR;
  readonly precision: Precision;
  readonly capabilities: Capabilities;
  readonly tokens: readonly number[];
  /** Operations a token. */
  readonly flops: number;
  /** Largest difference allowed, relative to the largest value of the output. */
  readonly tolerance: number;
  /** A matrix product that cuBLASLt can do: columns in and out. */
  readonly product?: { readonly depth: number; readonly columns: number };
}

const D = 768;
const H = 3072;
const many = [128, 1024, 16384] as const;

const exact = { precision: 'f32', capabilities: {}, tolerance: 1e-4 } as const;
/** tf32 keeps 10 bits of each factor. */
const rounded = { precision: 'tf32', capabilities: { 'tensor-cores': true }, tolerance: 5e-3 } as const;
/** bf16 keeps 7. */
const coarse = { precision: 'bf16', capabilities: { 'tensor-bf16': true }, tolerance: 4e-2 } as const;

const dense = standardLayer('linear', { dims: { D, O: H } });
const product = { depth: D, columns: H } as const;
const block = standardLayer('ff', { dims: { D, H, O: D } });
const tree = standardLayer('fff', { dims: { D, O: D, trees: 1, depth: 11 } });

export const works: readonly Work[] = [
  { name: `dense ${D}-${H}`, layer: dense, tokens: [1, ...many], flops: 2 * D * H, product, ...exact },
  { name: `dense ${D}-${H}`, layer: dense, tokens: many, flops: 2 * D * H, product, ...rounded },
  { name: `dense ${D}-${H}`, layer: dense, tokens: many, flops: 2 * D * H, product, ...coarse },
  { name: `dense block ${D}-${H}-${D}`, layer: block, tokens: [1, ...many], flops: 4 * D * H, ...exact },
  { name: `dense block ${D}-${H}-${D}`, layer: block, tokens: many, flops: 4 * D * H, ...rounded },
  { name: `dense block ${D}-${H}-${D}`, layer: block, tokens: many, flops: 4 * D * H, ...coarse },
  { name: `tree 1x11 of ${D}`, layer: tree, tokens: [1, ...many], flops: 12 * 4 * D, ...exact },
];
