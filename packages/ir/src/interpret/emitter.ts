/** What writing the loops of a layer takes and gives: the contract between the statements' loops, the bounds and the runner. */
import type { Descend, Expr, IndexRange, LayerIR } from '../layer-ir.ts';
import type { BoundPlan } from './bounds.ts';

/** How a layer is to be run; everything here is settled when the text is written. */
export interface EmitContext {
  readonly ir: LayerIR;
  readonly dims: ReadonlyMap<string, number>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Check every access, also those proven to lie inside. */
  readonly strict: boolean;
  /** 'f32' rounds every f32 result to float32. */
  readonly precision: 'f64' | 'f32';
  readonly bounds: BoundPlan | null;
}

/** An array that a statement needs beside the layer's tensors. */
export interface Scratch {
  readonly kind: 'f64' | 'i32';
  readonly length: number;
  readonly fill: number;
}

/** An access, or a division, that is checked at run time, with the indices around it, for the error message. */
export interface Site {
  readonly checked: Extract<Expr, { kind: 'access' | 'op' }>;
  readonly around: readonly string[];
}

export interface StatementProgram {
  /** The body of `(arrays, h, fail) => void`. */
  readonly text: string;
  /** The names of `arrays`, in order; those with a scratch are made by the runner when no tensor has that name. */
  readonly arrays: readonly { readonly name: string; readonly scratch: Scratch | null }[];
  readonly sites: readonly Site[];
}

/** What writing text for expressions needs; shared with the bounds. */
export interface Emitter {
  /** Writes what must run first and returns a text without side effects for the value. */
  value(expr: Expr): string;
  push(line: string): void;
  /** A constant that holds the value of a text, so that it is computed once. */
  hold(text: string): string;
  /** A new variable name. */
  fresh(): string;
  /** Lines between `header {` and `}`. */
  block(header: string, body: () => void): void;
  loops(indices: readonly IndexRange[], body: () => void): void;
  array(name: string, scratch?: Scratch): string;
  offset(indices: readonly string[], shape: readonly number[]): string;
  /** Runs `body` at each step of a remembered walk, the node and the lets being bound. */
  replay(descend: Descend, body: () => void): void;
  /** Runs `body` after the last step, the node being bound. */
  atEnd(descend: Descend, body: () => void): void;
  extent(range: IndexRange): number;
}
