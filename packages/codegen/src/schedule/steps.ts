/**
 * Schedules are data: a list of steps, each a rewrite Kernel → Kernel that keeps the meaning. A step that would be illegal
 * refuses, with the reason; it never guesses. Loops are named by their label, so that a step reaches every copy (main
 * part and tail) of a loop that earlier steps split.
 */

export type Step =
  /** Cuts a weight's axis into blocks and makes the block the innermost physical dimension. Done to the data once, at load. */
  | { readonly step: 'pack'; readonly buffer: string; readonly axis: number; readonly block: number }
  /**
   * Runs `lanes` iterations of a loop as vector values; what is left over runs in a scalar copy labelled `<label>_tail`.
   * A reduction over the loop is split into `lanes · accumulators` partial results.
   */
  | { readonly step: 'vectorise'; readonly loop: string; readonly lanes: number; readonly accumulators: number }
  /** Unrolls an outer loop `by` times and merges the copies of the loops inside it: the register tile. */
  | { readonly step: 'jam'; readonly loop: string; readonly by: number }
  /**
   * Runs `by` iterations of a loop over rows side by side, each on private memory of its own; the rest in `<label>_tail`. Loops
   * inside it that are named `apart` are run one row after another.
   */
  | { readonly step: 'interleave'; readonly loop: string; readonly by: number; readonly apart?: readonly string[] }
  /** Copies the row that a grid step reads of a buffer again and again into private memory before anything else. */
  | { readonly step: 'keep'; readonly buffer: string }
  /** Marks what is read and written of a buffer in global memory as passing by: caches are for what is wanted again. */
  | { readonly step: 'pass'; readonly buffer: string }
  /** Does the work of `by` iterations in one; what is left over runs in a copy labelled `<label>_tail`. */
  | { readonly step: 'repeat'; readonly loop: string; readonly by: number }
  /** What the loop carries from one iteration to the next by a choice, it carries by a branch, which a machine may guess. */
  | { readonly step: 'guess'; readonly loop: string }
  /** Writes out every iteration of a loop of at most `limit` iterations. */
  | { readonly step: 'unroll'; readonly loop: string; readonly limit: number }
  /** Lane machines: each thread takes one grid step, alone; with `workgroups`, no more of them than that are started. */
  | {
      readonly step: 'spread';
      readonly subgroups: number;
      readonly lanes: number;
      readonly workgroups?: number;
    }
  /**
   * Lane machines: each subgroup takes one grid step, its lanes deal out the step's independent loops. `memory`: bytes of workgroup
   * memory for arrays the lanes share.
   */
  | {
      readonly step: 'cooperate';
      readonly subgroups: number;
      readonly lanes: number;
      readonly memory: number;
      readonly workgroups?: number;
    };

export type Schedule = readonly Step[];

/** Why a step can't be applied. */
export class ScheduleRefusal extends Error {
  readonly step: Step;
  readonly reason: string;

  constructor(step: Step, reason: string) {
    super(`schedule step ${JSON.stringify(step)} refused: ${reason}`);
    this.name = 'ScheduleRefusal';
    this.step = step;
    this.reason = reason;
  }
}
