/**
 * How far a float32 value may be from its reference: twice what float32 is known to cost that very tensor, and 10⁻⁶.
 *
 * What it costs is taken from golden.json (the original's own float32 run against its float64 run) or, where that says
 * nothing, measured: the interpreter runs the case once more with every result rounded to float32, and the largest loss among
 * tensors of one family (all `ffn.*.output`) holds for each of them, as a single run may be lucky. On a text of a few tokens it
 * mostly is: then what was recorded of the same tensor on other inputs holds, where it is more. Neither involves the
 * compiler that is being judged. ONNX Runtime is itself a float32 program, so against it both may be off, and twice as much
 * is allowed. Targets of another strictness say so (`Strictness`).
 */
import type { Case, Item } from '../cases/case.ts';
import type { RunKind } from '../references/run.ts';

/** Added to every allowance: a tensor that float32 happens to hold exactly is no reason to demand exactness. */
export const FLOOR = 1e-6;

export interface Allowance {
  readonly allowed: number;
  /** What float32 costs this tensor. */
  readonly unit: number;
  readonly from: 'recorded' | 'measured';
}

/** How far a target's values may be off: `times` what float32 costs the tensor, and `floor`. */
export interface Strictness {
  readonly times: number;
  readonly floor: number;
}

/** For machines whose arithmetic is IEEE 754's. */
export const strict: Strictness = { times: 2, floor: FLOOR };

/** For WebGPU, whose division, square root and order of fused operations are the driver's: WGSL allows 2.5 ULP and more. */
export const graphics: Strictness = { times: 3, floor: 2 * FLOOR };

/** Items of the same kind in different layers: `hidden_states.3` and `hidden_states.4`. */
const familyOf = (item: Item): string => item.name.replace(/\d+/g, '*');

export interface Tolerance {
  /** Against a reference that is exact, or one float32 run of the original. */
  of(item: Item): Allowance;
  /** For a tensor of the graph that may be no item; the largest of what is known when it is not. */
  ofTensor(name: string): number;
}

/** How many times the allowance holds against a reference. */
export const allowanceFactor = (kind: RunKind): number => (kind === 'onnxruntime' ? 2 : 1);

/**
 * @param measure how far the interpreter's float32 run is from its exact run at an item; called only where nothing is recorded
 */
export function toleranceOf(
  one: Case,
  measure: (item: Item) => number,
  { times, floor }: Strictness = strict,
): Tolerance {
  const known = new Map<string, Allowance>();
  const of = (item: Item): Allowance => {
    const before = known.get(item.name);
    if (before !== undefined) return before;
    const recorded = one.golden?.lost.get(item.name);
    const measured = (): number => {
      const family = one.items.filter((other) => familyOf(other) === familyOf(item)).map((other) => measure(other));
      // Where the interpreter's own float32 run overflows there is nothing to measure; that must not allow everything.
      return Math.max(one.lostElsewhere?.get(item.name) ?? 0, ...family.filter(Number.isFinite));
    };
    const unit = recorded ?? measured();
    const from = recorded === undefined ? 'measured' : 'recorded';
    const made: Allowance = { allowed: times * unit + floor, unit, from };
    known.set(item.name, made);
    return made;
  };
  return {
    of,
    ofTensor(name) {
      const item = one.items.find((candidate) => candidate.tensor === name);
      if (item !== undefined) return of(item).allowed;
      return one.subject.graph.inputs.includes(name) ? 0 : Math.max(floor, ...one.items.map((i) => of(i).allowed));
    },
  };
}

/** Whether every item has a recorded number, so that nothing needs measuring. */
export const allRecorded = (one: Case): boolean => one.items.every((item) => one.golden?.lost.has(item.name) === true);
