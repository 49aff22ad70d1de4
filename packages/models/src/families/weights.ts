/**
 * The tensors of a checkpoint, taken one by one while a graph is built, and accounted for at the end.
 *
 * A family takes each tensor it needs by its canonical name with the shape that config.json implies. Nothing is thrown or
 * converted until `settle`: then everything missing, unexpected or misshapen is known at once, a misspelt name stands beside
 * the one it was probably meant to be, and only a checkpoint without a fault is converted to float32.
 */
import type { WeightTensor } from '@espalier/ir';
import { CheckpointError, type CheckpointErrorCode, quoted } from '../errors.ts';
import { elementCount, type TensorView, toFloat32 } from '../safetensors/index.ts';

/** A dimension and what in config.json it comes from, e.g. 384 from "3·hidden_size". */
export interface Extent {
  readonly size: number;
  readonly from: string;
}

export const extent = (size: number, from: string): Extent => ({ size, from });

/** What becomes of the numbers of a tensor on their way into the graph: a new shape, maybe a new order. */
export interface Reshaped {
  readonly shape: readonly number[];
  /** `data` may be a view of the file; return a new array where the order changes. Absent: same order. */
  readonly data?: (data: Float32Array) => Float32Array;
}

/** What becomes of several tensors that are taken together. */
export interface Joined {
  readonly shape: readonly number[];
  /** The numbers of the weight, a new array; `parts` in the order of the names, maybe views of the file. */
  readonly data: (parts: readonly Float32Array[]) => Float32Array;
}

/** The tensors of one checkpoint under their canonical names. */
export interface WeightBook {
  /** Whether the checkpoint has it. */
  has(name: string): boolean;
  /** Its shape in the file, undefined when absent. */
  shapeOf(name: string): readonly number[] | undefined;
  /** Says that the checkpoint's tensor `copy` repeats `original`: `settle` checks that they are equal and keeps one. */
  tie(copy: string, original: string, shape: readonly Extent[], hint?: string): void;
  /**
   * Takes a tensor; answers the name of the graph's weight (`as`, or the canonical name).
   * A tensor may be taken more than once, under several names, with different reshapings.
   */
  take(name: string, shape: readonly Extent[], reshaped?: Reshaped, as?: string): string;
  /** Takes tensors of one shape together: they become the one weight `as`. */
  takeTogether(names: readonly string[], shape: readonly Extent[], joined: Joined, as: string): string;
  /** Adds a weight that is computed, not stored; computed when all else is found right. */
  add(name: string, shape: readonly number[], compute: () => Float32Array): string;
  /** Says that a tensor, or all whose names match, are known and on purpose not used. */
  ignore(matching: RegExp | string): void;
  /** Checks everything and converts what was taken. Throws CheckpointError M103…M107. */
  settle(): ReadonlyMap<string, WeightTensor>;
  /** The tensors that `ignore` covered, by their names in the file, sorted. */
  ignored(): readonly string[];
  /** The name in the file (or what it would be), for messages. */
  spelled(name: string): string;
  /** An error about one tensor. */
  error(code: CheckpointErrorCode, name: string, detail: string, hint?: string): CheckpointError;
}

/** How names in files relate to canonical names. */
export interface Naming {
  /** The canonical name of a tensor, which families use. */
  canonical(name: string): string;
  /** The name that a canonical one has in this file's style. */
  spelled(canonical: string): string;
}

interface Stored {
  readonly name: string;
  readonly shape: readonly Extent[];
}

interface Tie extends Stored {
  readonly original: string;
  readonly hint: string | undefined;
}

/** A weight of the graph, and the tensors of the file it is made of. */
interface Wanted {
  readonly parts: readonly Stored[];
  readonly shape: readonly number[];
  readonly data: (parts: readonly Float32Array[]) => Float32Array;
  readonly as: string;
}

const only = ([data]: readonly Float32Array[]): Float32Array => data ?? new Float32Array(0);

/**
 * Opens the book on a checkpoint's tensors.
 *
 * @throws CheckpointError M104 when two names in the file mean the same tensor (LayerNorm.gamma and LayerNorm.weight)
 */
export function weightBook(
  tensors: ReadonlyMap<string, TensorView>,
  naming: Naming,
  file: string | undefined,
): WeightBook {
  const found = new Map<string, TensorView>();
  for (const [name, view] of tensors) {
    const canonical = naming.canonical(name);
    const other = found.get(canonical);
    if (other !== undefined) {
      const detail = `means the same as ${quoted(other.name)}, which is also there`;
      throw new CheckpointError('M104', detail, { file: view.file ?? file, tensor: name });
    }
    found.set(canonical, view);
  }
  const wanted = new Map<string, Wanted>();
  const ties: Tie[] = [];
  const computed: (() => WeightTensor)[] = [];
  const ignorable: (RegExp | string)[] = [];
  const spelled = (name: string): string => found.get(name)?.name ?? naming.spelled(name);
  const asked = (): readonly Stored[] => [...[...wanted.values()].flatMap((w) => w.parts), ...ties];
  const taken = (): ReadonlySet<string> => new Set(asked().map((w) => w.name));
  const left = (): readonly string[] => {
    const names = taken();
    return [...found.keys()].filter((name) => !names.has(name));
  };
  const isIgnored = (name: string): boolean =>
    ignorable.some((p) => (typeof p === 'string' ? p === name : p.test(name)));

  function error(code: CheckpointErrorCode, name: string, detail: string, hint?: string): CheckpointError {
    return new CheckpointError(code, detail, { file: found.get(name)?.file ?? file, tensor: spelled(name), hint });
  }

  function checkNames(): void {
    const missing = [...taken()].filter((name) => !found.has(name));
    const unexpected = left().filter((name) => !isIgnored(name));
    const pairs = missing.slice(0, 8).flatMap((name) => {
      const near = closest(name, unexpected.slice(0, 1000));
      return near === undefined ? [] : [{ name, near }];
    });
    const first = missing[0];
    if (first !== undefined) {
      const others =
        missing.length === 1 ? '' : `; so are ${missing.length - 1} more: ${listed(missing.slice(1).map(spelled))}`;
      const near = pairs.map((p) => `${quoted(spelled(p.near))} (did you mean ${quoted(spelled(p.name))}?)`);
      const alike = near.length === 0 ? '' : `; the file has ${listed(near, false)}`;
      throw error('M103', first, `is missing${others}${alike}`);
    }
    const extra = unexpected[0];
    if (extra === undefined) return;
    const near = closest(extra, taken());
    const meant = near === undefined ? '' : ` (${quoted(spelled(near))} is there too)`;
    const others =
      unexpected.length === 1
        ? ''
        : `; neither are ${unexpected.length - 1} more: ${listed(unexpected.slice(1).map(spelled))}`;
    throw error('M104', extra, `is not a tensor of this model${meant}${others}`);
  }

  function checkShape({ name, shape }: Stored, view: TensorView): void {
    const sizes = shape.map((e) => e.size);
    if (sameShape(sizes, view.shape)) return;
    const formula = shape.map((e) => e.from).join(', ');
    const transposed = sameShape(sizes.toReversed(), view.shape) ? '; the tensor looks transposed' : '';
    throw error(
      'M105',
      name,
      `has shape [${view.shape.join(', ')}], but config.json implies [${formula}] = [${sizes.join(', ')}]${transposed}`,
    );
  }

  function numbers(name: string): Float32Array {
    const view = found.get(name);
    if (view === undefined) return new Float32Array(0);
    if (!/^(F|BF)\d+$/.test(view.dtype))
      throw error('M106', name, `holds ${view.dtype}, but weights are floating-point numbers`);
    return toFloat32(view);
  }

  function checkTie({ name, original, hint }: Tie): void {
    const [copy, kept] = [numbers(name), numbers(original)];
    const at = copy.findIndex((value, i) => !Object.is(value, kept[i]) && value !== kept[i]);
    if (at === -1) return;
    const detail = `is tied to ${quoted(spelled(original))}, but element ${at} is ${copy[at]} here and ${kept[at]} there`;
    throw error('M107', name, detail, hint);
  }

  return {
    has: (name) => found.has(name),
    shapeOf: (name) => found.get(name)?.shape,
    take(name, shape, reshaped, as = name) {
      const data = reshaped?.data;
      wanted.set(as, {
        parts: [{ name, shape }],
        shape: reshaped?.shape ?? shape.map((e) => e.size),
        data: data === undefined ? only : (parts) => data(only(parts)),
        as,
      });
      return as;
    },
    takeTogether(names, shape, joined, as) {
      wanted.set(as, { parts: names.map((name) => ({ name, shape })), ...joined, as });
      return as;
    },
    tie: (copy, original, shape, hint) => void ties.push({ name: copy, original, shape, hint }),
    add(name, shape, compute) {
      computed.push(() => ({ name, storage: 'f32', shape, data: compute() }));
      return name;
    },
    ignore: (matching) => void ignorable.push(matching),
    settle() {
      checkNames();
      for (const want of asked()) {
        const view = found.get(want.name);
        if (view !== undefined) checkShape(want, view);
      }
      for (const tie of ties) checkTie(tie);
      const weights = new Map(computed.map((make) => make()).map((weight) => [weight.name, weight] as const));
      const converted = new Map<string, Float32Array>();
      const source = (name: string): Float32Array => {
        const known = converted.get(name) ?? numbers(name);
        converted.set(name, known);
        return known;
      };
      for (const { parts, shape, data: make, as } of wanted.values()) {
        const data = make(parts.map((part) => source(part.name)));
        if (data.length !== elementCount(shape))
          throw new RangeError(`${as}: ${data.length} numbers for [${shape.join(', ')}]`);
        weights.set(as, { name: as, storage: 'f32', shape, data });
      }
      return weights;
    },
    ignored: () => left().filter(isIgnored).map(spelled).sort(),
    spelled,
    error,
  };
}

/** [rows, columns] → [columns, rows]. */
export function transposed(rows: number, columns: number): (data: Float32Array) => Float32Array {
  return (data) => {
    const result = new Float32Array(data.length);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c] as number;
    return result;
  };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function listed(names: readonly string[], quote = true): string {
  const shown = names.slice(0, 8).map((name) => (quote ? quoted(name) : name));
  return names.length <= 8 ? shown.join(', ') : `${shown.join(', ')} and ${names.length - 8} more`;
}

/** The candidate at least edits from `name`; none when more than two letters and a fifth of the name would have to change. */
function closest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(8, Math.max(3, Math.ceil(name.length / 5)));
  for (const candidate of candidates) {
    if (candidate.length > 120) continue;
    const edits = distance(name, candidate, least);
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/** Letters to insert, delete or replace to turn one name into the other; `limit` when it would be that many or more. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return Math.min(limit, row[b.length] as number);
}
