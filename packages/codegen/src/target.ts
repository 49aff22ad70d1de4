/**
 * What a target is: one folder, one object of this type. The driver knows targets only through it.
 */
import type { SizeExpr } from '@espalier/artefact';
import type { Kernel } from './kernel-ir/types.ts';
import type { Unit } from './lower/partition.ts';
import type { Schedule } from './schedule/steps.ts';

/** Facts about a machine that code generation depends on: names and values are the target's own. */
export type Capabilities = Readonly<Record<string, boolean | number>>;

/** How units are cut before any schedule: block sizes of contractions. */
export interface Blocking {
  readonly rows: number;
  readonly columns: number;
  /** Longest stretch of a sum that is accumulated in one go. */
  readonly depth: number;
}

/** A rewrite of one kernel, named for dumps. */
export interface KernelPass {
  readonly name: string;
  readonly run: (kernel: Kernel) => Kernel;
}

export interface Target {
  /** As in `Manifest.target`, e.g. "wasm". */
  readonly name: string;
  /** File extension of its source text, without the dot. */
  readonly extension: string;
  /** What is assumed when the caller says nothing; every key a caller may give. */
  readonly defaults: Capabilities;
  /** Block sizes for a contraction of `columns` output columns. */
  blocking(columns: number, capabilities: Capabilities): Blocking;
  /** The schedule a freshly lowered kernel gets when no tuning file has a better one. The kernel's loops have labels of their own. */
  schedule(unit: Unit, kernel: Kernel, capabilities: Capabilities): Schedule;
  /** Passes that leave only what `print` has an answer for, in order. */
  legalise(capabilities: Capabilities): readonly KernelPass[];
  /** The source text of a layer's kernels. `header` lines go into a comment at its top. */
  print(kernels: readonly Kernel[], header: readonly string[], capabilities: Capabilities): string;
  /** The binary of a source text, where the target has one. */
  readonly assemble: ((source: string, name: string) => Promise<Uint8Array>) | null;
  /** Private memory a thread needs for a legalised kernel, in bytes. */
  scratch(kernel: Kernel): SizeExpr;
  /** Names for `Manifest.requires`. */
  requires(capabilities: Capabilities): readonly string[];
  /** Entries for `Manifest.numerics`. */
  numerics(capabilities: Capabilities): Readonly<Record<string, boolean | number | string>>;
}
