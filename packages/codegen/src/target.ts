/**
 * What a target is: one folder, one object of this type. The driver knows targets only through it.
 */
import type { SizeExpr } from '@espalier/artefact';
import type { LayerIR } from '@espalier/ir';
import type { HeldTile, Kernel, MmaPrecision } from './kernel-ir/types.ts';
import type { Unit } from './lower/partition.ts';
import type { Schedule } from './schedule/steps.ts';

/** Facts about a machine that code generation depends on: names and values are the target's own. */
export type Capabilities = Readonly<Record<string, boolean | number>>;

/** Block sizes of a contraction: a grid step computes rows × columns. */
export interface Blocking {
  readonly rows: number;
  readonly columns: number;
  /** Longest stretch of a sum that is accumulated in one go. */
  readonly depth: number;
  /** The part of a block that is accumulated at once. */
  readonly registers?: Registers;
  /**
   * Whether a block's weights are brought near before they are used, touching one of so many columns, and one of so many places of the sum:
   * what a cache's line holds of packed weights.
   */
  readonly touch?: { readonly columns: number; readonly depth: number };
}

/** A register tile: rows × columns of a result that a thread accumulates side by side. */
export interface Registers {
  readonly rows: number;
  readonly columns: number;
}

/**
 * The tile of a contraction that a workgroup computes; `laneRows` × `laneColumns` of it are each lane's, both multiples of 4. With matrix
 * units which those are is the machine's to say.
 */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Length of the stretches staged through workgroup memory. */
  readonly depth: number;
  readonly laneRows: number;
  readonly laneColumns: number;
  readonly subgroups: number;
  readonly lanes: number;
  /**
   * How many stretches workgroup memory holds: with 2 (1 when absent) the next one is on its way from global memory, in registers,
   * while the one at hand is multiplied, and a stretch takes one barrier instead of two.
   */
  readonly stages?: 1 | 2;
  /** Products by matrix units instead of lanes. */
  readonly matrix?: MatrixUnits;
}

/** How matrix units compute a tile: what operands are rounded to, what one product takes, and how the subgroups stand over the tile. */
export interface MatrixUnits {
  readonly precision: MmaPrecision;
  /** Length of the stretch that one product sums over. */
  readonly depth: number;
  readonly subgroupsAcross: number;
  /** Which of the results a lane holds. */
  readonly held: HeldTile;
}

/** How a unit is written as loops, before any schedule. */
export type Form =
  /** As the strategy for its shape does; contractions in blocks of these sizes. */
  | ({ readonly form: 'blocks' } & Blocking)
  /** A contraction as tiles of workgroups. */
  | ({ readonly form: 'tile' } & Tile)
  /** A grid step for each element of the result. */
  | { readonly form: 'elements' }
  /**
   * Rows fused row by row, `together` neighbours along the last row axis a grid step, in a loop labelled "rows". `accumulators`: partial
   * results of a sum; absent, as many as its length wants. `deferred`: what walks yield is computed after the walk. `clamped`: always as
   * many rows as that; beyond the last one it is the last that is done again.
   */
  | {
      readonly form: 'rows';
      readonly together: number;
      readonly accumulators?: number;
      readonly deferred?: boolean;
      readonly clamped?: boolean;
    }
  /**
   * Walks through one tree, `chunk` rows a grid step, sorted after `first` levels (0: not at all) by the node they have reached; level by
   * level in blocks of `block` rows, of which those at one node are taken `together` at a time, in loops labelled "rows" and "grouped".
   * From level `alone` on each row walks on its own, `together` of them interleaved, in a loop labelled "alone". `accumulators` as for rows.
   */
  | {
      readonly form: 'grouped';
      readonly chunk: number;
      readonly first: number;
      readonly block: number;
      readonly together: number;
      readonly alone?: number;
      readonly accumulators?: number;
    }
  /**
   * Walks through one tree in several kernels: `first` levels of rows as they come, then the others in the order of the nodes reached. They
   * are counted and sorted by `stretches` workgroups of so many threads, each of which takes as many neighbouring rows.
   */
  | {
      readonly form: 'sorted';
      readonly first: number;
      readonly stretches: number;
      readonly subgroups: number;
      readonly lanes: number;
    }
  /**
   * Walks of a whole workgroup each, `levels` levels a round; `team` neighbouring lanes compute a node. Where a team is a subgroup,
   * its folds are the machine's, else they go through workgroup memory.
   */
  | {
      readonly form: 'subtrees';
      readonly levels: number;
      readonly subgroups: number;
      readonly lanes: number;
      readonly team: number;
    };

/**
 * One way to compute a unit, for numbers of rows from `from` up to, not including, `below` (absent: no end). The variants of
 * a unit cover all numbers without overlap; which one runs is decided when the dims are known.
 */
export interface Variant {
  /** Ends the kernel's name, "k0_few"; '' for the one without end. */
  readonly name: string;
  readonly from: number;
  readonly below?: number;
  readonly form: Form;
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
  /** The ways a unit of the layer is computed, by number of rows; one for all suffices. */
  variants(unit: Unit, capabilities: Capabilities, layer: LayerIR): readonly Variant[];
  /**
   * The schedule a freshly lowered kernel gets when no tuning file has a better one. The kernel's loops have labels of their own;
   * a kernel lowered as a tile has its workgroup already. `form` is what it was lowered from.
   */
  schedule(unit: Unit, kernel: Kernel, capabilities: Capabilities, form: Form): Schedule;
  /** Passes that leave only what `print` has an answer for, in order. One may refuse a kernel that takes too much with an `Excess` (lower/ease.ts). */
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
