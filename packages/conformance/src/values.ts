/** What random expressions are made of: sizes, indices, and nodes with the largest magnitude they can have. */
import type { Node, NodeType } from './program.ts';

/** Random choices. */
export interface Rng {
  /** An integer from 0 below `below`. */
  int(below: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** A size as text, with the value it will have. */
export interface SizeText {
  readonly text: string;
  readonly value: number;
  /** Known at compile time. */
  readonly fixed: boolean;
}
export interface Index {
  readonly name: string;
  readonly size: SizeText;
}
/** What an expression may name where it stands, and how often it is evaluated. */
export interface Scope {
  readonly indices: readonly Index[];
  readonly locals: readonly { readonly name: string; readonly value: Value }[];
  readonly volume: number;
}
/** An expression with the largest magnitude it can have. */
export interface Value {
  readonly node: Node;
  readonly magnitude: number;
}
export interface Target {
  readonly name: string;
  readonly axes: readonly Index[];
  readonly value: Value;
}

/** Evaluations that one statement may cost the interpreter. */
export const MOST_WORK = 30_000;
export const LARGE = 16;

export const node = (type: NodeType, ...parts: readonly (string | Node)[]): Node => ({ type, parts });
export const value = (magnitude: number, n: Node): Value => ({ node: n, magnitude });

/** Functions of one number that keep it of moderate size. */
export const unaryFunctions = [
  'tanh',
  'erf',
  'gelu',
  'gelu_tanh',
  'sigmoid',
  'silu',
  'relu',
  'softplus',
  'mish',
  'leaky_relu',
  'relu_squared',
  'identity',
] as const;
