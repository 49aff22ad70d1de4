/**
 * What is measured and who takes part. A piece of work is a graph with random weights and inputs and what it should give; a
 * contender does it again and again. A baseline is one object; it knows nothing of the others, of how turns are taken, or
 * of how results are shown.
 */
import type { Graph } from '@espalier/ir';

/** One piece of work. */
export interface Work {
  /** As `--filter` matches it and tables show it: "dense 768-3072-768". */
  readonly name: string;
  readonly kind: 'dense' | 'tree' | 'encoder';
  /** Rows of the input. */
  readonly tokens: number;
  /** The layer or model itself; its weights are in it. */
  readonly graph: Graph;
  /** The same in the form that other engines take best, where that is another. */
  readonly forPeers?: () => Graph;
  readonly dims: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>;
  /**
   * Puts other random numbers into `inputs`, in place; called before every timed run, once the outputs were checked. A tree that sees
   * one token again and again has its path in the cache. Contenders read `inputs` on every run where this is there.
   */
  readonly next?: () => void;
  /** Floating-point operations of one run, a multiplication and an addition counted as two. */
  readonly flops: number;
  /** Bytes of weights that one run must read at least once. */
  readonly weightBytes: number;
  /** For people: how routes spread, "1,893 of 2,048 leaves". */
  readonly note?: string;
  /** Outputs that are known: rows and their values, by the float64 interpreter. */
  readonly expected: readonly { readonly row: number; readonly values: Float64Array }[];
  /** How far an element may be off. */
  readonly allowed: number;
}

/** Somebody ready to do one piece of work, again and again. */
export interface Contender {
  /** Does the work once. */
  run(): void | Promise<void>;
  /** The result of the last run, row-major. */
  output(): Float32Array | Promise<Float32Array>;
  dispose(): void | Promise<void>;
}

/** Why somebody does not take part, for people; `command` would mend it, if anything does. */
export interface Absence {
  readonly reason: string;
  readonly command?: string;
}

export interface Baseline {
  /** As `--baselines` takes it and tables show it. */
  readonly name: string;
  /** One line: what it is. */
  readonly title: string;
  /** Kinds of work it does; for others it is not mentioned. */
  readonly kinds: readonly Work['kind'][];
  /** Takes part only where `--baselines` names it or a group calls for it: slow, or of interest only beside what was published. */
  readonly onlyIfAsked?: true;
  /** Gets ready on so many threads, or says why it can't. Throws only for defects. */
  prepare(work: Work, threads: number): Promise<Contender | Absence>;
}

export const isAbsent = (x: Contender | Absence): x is Absence => 'reason' in x;
