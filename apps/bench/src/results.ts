/** What a bench finds, as data: the JSON file, and what text and page are made from. */
import type { Spread } from './measure.ts';
import type { Mode } from './own.ts';

export interface Result {
  /** "dense 768-3072-768". */
  readonly work: string;
  readonly kind: 'dense' | 'tree' | 'encoder';
  readonly tokens: number;
  readonly threads: number;
  /** How our own kernels were made; the ratios of a group are all to these. */
  readonly mode: Mode;
  readonly note?: string;
  readonly rows: readonly ResultRow[];
  readonly skipped: readonly { readonly name: string; readonly reason: string; readonly command?: string }[];
  readonly rejected: readonly { readonly name: string; readonly why: string }[];
}

export interface ResultRow {
  readonly name: string;
  /** What it did, where that is not the group's work. */
  readonly does?: string;
  /** Milliseconds a run. */
  readonly time: Spread;
  readonly turns: number;
  readonly gflops: number;
  /** Gigabytes of weights a second, each counted once a run. */
  readonly gigabytes: number;
  /** Share of the machine's measured multiply-adds, where that is known. */
  readonly ofCeiling?: number;
  /** Its time : ours, turn by turn; above 1 we are faster. Absent for ourselves. */
  readonly ratio?: Spread;
  readonly error: number;
}

/** Whole encoders: what replacing the feedforward blocks brings, and could bring at most. */
export interface Amdahl {
  readonly mode: Mode;
  readonly sequence: number;
  readonly layers: number;
  /** Milliseconds: with dense blocks, with trees, and without any. */
  readonly dense: number;
  readonly tree: number;
  readonly none: number;
  /** dense / tree, and dense / none: blocks that cost nothing. */
  readonly reached: number;
  readonly possible: number;
}

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  readonly gflops?: number;
  readonly gigabytes?: number;
}

export interface Results {
  readonly version: 1;
  readonly command: string;
  readonly seed: number;
  readonly machine: Machine;
  readonly results: readonly Result[];
  readonly amdahl: readonly Amdahl[];
  /** Nanoseconds of a call on a tiny layer, inputs and outputs in place. */
  readonly call?: Spread;
  /** Whether it was stopped before the end. */
  readonly stopped: boolean;
}
