/** What a bench finds, as data: the JSON file, and what text and page are made from. */
import type { NativeCeilings } from './baselines/native/ceilings.ts';
import type { Spread } from './measure.ts';
import type { Mode } from './own.ts';

export interface Result {
  /** The group's name, as `--list` gives it. */
  readonly group: string;
  /** "dense 768-3072-768". */
  readonly work: string;
  readonly kind: 'dense' | 'tree' | 'encoder';
  readonly tokens: number;
  readonly threads: number;
  /** How our own kernels were made; the ratios of a group are all to these. */
  readonly mode: Mode;
  readonly note?: string;
  /** Of weights and inputs. */
  readonly seed: number;
  readonly rows: readonly ResultRow[];
  readonly skipped: readonly { readonly name: string; readonly reason: string; readonly command?: string }[];
  readonly rejected: readonly { readonly name: string; readonly why: string }[];
}

export interface ResultRow {
  readonly name: string;
  /** What it did, where that is not the group's work. */
  readonly does?: string;
  /** How many tokens it did, where that is not the group's number: what is slow and takes the same time for each. */
  readonly tokens?: number;
  /** Milliseconds a run. */
  readonly time: Spread;
  readonly turns: number;
  readonly gflops: number;
  /** Gigabytes of weights a second, each counted once a run. */
  readonly gigabytes: number;
  /**
   * The nearer of the machine's measured ceilings and what share of it was reached, where they are known. Of memory: reading as many
   * bytes in such order, each weight once a run; above 1 they come from a nearer cache.
   */
  readonly limit?: { readonly of: 'arithmetic' | 'memory'; readonly share: number };
  /** Its time a token : ours, turn by turn; above 1 we are faster. Absent for ourselves. */
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
  /** dense : tree, and dense : none, blocks that cost nothing; medians of ratios turn by turn. */
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
  /** "family 26, model 2", where the system tells: marketing names don't tell processors apart. */
  readonly family?: string;
  /** Which OpenBLAS was linked, and the kernels that it runs. */
  readonly blas?: string;
  /** Of one core, by C programs; absent without a C compiler. */
  readonly ceilings?: NativeCeilings;
}

/** What a loaded model takes beside its weights. */
export interface Memory {
  /** "encoder of 12 layers, f32". */
  readonly what: string;
  readonly weightBytes: number;
  /** What the process grew by when it was loaded and had run once. */
  readonly residentBytes: number;
}

/** The runtime as an application's bundler packs it, bytes by gzip. */
export interface BundleSize {
  readonly oneThread: number;
  readonly severalThreads: number;
}

export interface Results {
  readonly version: 2;
  readonly command: string;
  /** The last commit that changed the packages measured, where it is known. */
  readonly revision?: string;
  readonly seed: number;
  readonly machine: Machine;
  readonly results: readonly Result[];
  readonly amdahl: readonly Amdahl[];
  /** Nanoseconds of a call on a tiny layer, inputs and outputs in place. */
  readonly call?: Spread;
  readonly memory?: Memory;
  readonly bundle?: BundleSize;
  /** Extras that could not be measured here, and why. */
  readonly missing?: readonly string[];
  /** Whether it was stopped before the end. */
  readonly stopped: boolean;
}

/** Whether something read from a file is results, as far as what is made of them takes for granted. */
export function isResults(value: unknown): value is Results {
  const isObject = (one: unknown): one is Readonly<Record<string, unknown>> => typeof one === 'object' && one !== null;
  const isSpread = (one: unknown): boolean =>
    isObject(one) && ['median', 'low', 'high'].every((key) => typeof one[key] === 'number');
  const isRow = (one: unknown): boolean =>
    isObject(one) &&
    typeof one['name'] === 'string' &&
    isSpread(one['time']) &&
    ['gflops', 'gigabytes', 'error'].every((key) => typeof one[key] === 'number') &&
    (one['ratio'] === undefined || isSpread(one['ratio']));
  const isResult = (one: unknown): boolean =>
    isObject(one) &&
    ['group', 'work', 'kind', 'mode'].every((key) => typeof one[key] === 'string') &&
    ['tokens', 'threads'].every((key) => typeof one[key] === 'number') &&
    Array.isArray(one['rows']) &&
    one['rows'].every(isRow) &&
    [one['skipped'], one['rejected']].every((list) => Array.isArray(list) && list.every(isObject));
  return (
    isObject(value) &&
    value['version'] === 2 &&
    isObject(value['machine']) &&
    typeof value['machine']['cpu'] === 'string' &&
    Array.isArray(value['amdahl']) &&
    value['amdahl'].every(isObject) &&
    Array.isArray(value['results']) &&
    value['results'].every(isResult)
  );
}

/** Results as the text of a file; six digits of a measurement are more than mean anything. */
export const resultsText = (results: Results): string =>
  `${JSON.stringify(
    results,
    (_, value: unknown) =>
      typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value,
    1,
  )}\n`;
