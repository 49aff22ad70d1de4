/**
 * The search: for each unit of a layer and each number of rows all candidates are timed in turns, the better half longer and longer
 * (successive halving), until one is left. The best of many that were timed shortly is partly the luckiest, so it is timed once more
 * beside the target's own form, and taken only if it is faster there by more than noise. Candidates whose results differ
 * from the interpreter's are dropped. What was found is kept as it comes, so that a search that was stopped goes on where it was.
 */
import {
  CompileError,
  compile,
  type Form,
  partition,
  shapeOf,
  type Target,
  type Tuning,
  tuningProblem,
  type Variant,
  wasm,
} from '@espalier/codegen';
import { compareLayer, randomTensors } from '@espalier/conformance';
import type { LayerIR } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openWasm, wasmCapabilities } from '@espalier/runtime-wasm';
import { type MachineKey, secondCache } from '../machine.ts';
import { breathing, type Spread, spreadOf } from '../measure.ts';
import { candidatesFor, type EngineFacts } from './candidates.ts';

/** One choice that was made: the best form for a shape at a number of rows. */
export interface Choice {
  readonly shape: string;
  readonly rows: number;
  /** Null: no candidate is faster than the target's own form. */
  readonly form: Form | null;
  /** Time of the layer with the target's own form : with the best candidate, turn by turn, timed after the search. */
  readonly gain: Spread;
  readonly tried: number;
}

/** A tuning with what it was made from: enough to go on with, and to know where it holds. */
export interface TuningFile extends Tuning {
  readonly machine: MachineKey & { readonly date: string };
  readonly choices: readonly Choice[];
}

/** Whether something read from a file is a tuning with its origin, of the version that is written here. */
export function isTuningFile(value: unknown): value is TuningFile {
  const isObject = (one: unknown): one is Readonly<Record<string, unknown>> =>
    typeof one === 'object' && one !== null && !Array.isArray(one);
  const isChoice = (one: unknown): boolean =>
    isObject(one) &&
    typeof one['shape'] === 'string' &&
    Number.isInteger(one['rows']) &&
    (one['form'] === null || isObject(one['form'])) &&
    isObject(one['gain']) &&
    ['median', 'low', 'high'].every(
      (key) => typeof (one['gain'] as Readonly<Record<string, unknown>>)[key] === 'number',
    );
  return (
    isObject(value) &&
    value['version'] === 1 &&
    typeof value['target'] === 'string' &&
    isObject(value['capabilities']) &&
    isObject(value['shapes']) &&
    tuningProblem(value['shapes']) === null &&
    isObject(value['machine']) &&
    Array.isArray(value['choices']) &&
    value['choices'].every(isChoice)
  );
}

/** What a search found, and what another one put into the same file meanwhile. */
export function joined(found: TuningFile, there: TuningFile | null): TuningFile {
  if (there === null) return found;
  const isOurs = ({ shape, rows }: Choice): boolean => found.choices.some((c) => c.shape === shape && c.rows === rows);
  const known = new Set([...found.choices.map(({ shape }) => shape), ...Object.keys(found.shapes)]);
  return {
    ...found,
    shapes: {
      ...Object.fromEntries(Object.entries(there.shapes).filter(([shape]) => !known.has(shape))),
      ...found.shapes,
    },
    choices: [...there.choices.filter((c) => !isOurs(c)), ...found.choices],
  };
}

/** A gain below this is noise, even where nearly all turns agree on it. */
const LEAST_GAIN = 1.03;

/** Whether a gain is more than noise: in the median, and in nine turns of ten at all. */
export const isGain = ({ median, low }: Spread): boolean => median >= LEAST_GAIN && low > 1;

export interface TuneOptions {
  readonly layer: LayerIR;
  /** Numbers of rows, ascending. */
  readonly rows: readonly number[];
  readonly wide: boolean;
  /** Seconds for each unit and number of rows. */
  readonly seconds: number;
  readonly machine: TuningFile['machine'];
  /** What an earlier search left. */
  readonly before: TuningFile | null;
  readonly progress?: (text: string) => void;
  /** Told more often, for a line that is written over. */
  readonly status?: (text: string) => void;
  /** Told after each choice. */
  readonly keep?: (file: TuningFile) => void;
  readonly stop?: AbortSignal;
}

/** Rejects where the engine can't do 256 bits and was asked to. */
export async function tuneLayer(options: TuneOptions): Promise<TuningFile> {
  const { layer, rows, wide, before, machine } = options;
  using device = await openWasm({ wide });
  const capabilities = wasmCapabilities(device.info);
  const engine: EngineFacts = { registers: 16, lanes: wide ? 8 : 4, cache: secondCache() };
  const choices: Choice[] = [...(before?.choices ?? [])];
  const units = partition(layer);
  const own = new Map(units.map((unit) => [shapeOf(unit), wasm.variants(unit, capabilities, layer)]));
  const fileOf = (): TuningFile => ({
    version: 1,
    target: wasm.name,
    capabilities,
    shapes: {
      // What another layer was tuned for in the same file.
      ...Object.fromEntries(Object.entries(before?.shapes ?? {}).filter(([shape]) => !own.has(shape))),
      ...shapesOf(
        choices.filter((c) => own.has(c.shape)),
        rows,
        own,
      ),
    },
    machine,
    choices,
  });
  for (const [i, unit] of units.entries()) {
    const shape = shapeOf(unit);
    for (const count of rows) {
      const forms = candidatesFor(unit, shape.includes('walk'), count, engine);
      if (forms.length === 0) break;
      if (options.stop?.aborted === true) return fileOf();
      if (choices.some((c) => c.shape === shape && c.rows === count)) continue;
      options.progress?.(`${shape}, ${count} rows: ${forms.length} candidates (kernel ${i + 1} of ${units.length})`);
      const best = await search(shape, forms, count);
      // Stopped on the way: what is half searched is not known.
      if (best === null) return fileOf();
      choices.push({ shape, rows: count, ...best, tried: forms.length });
      options.keep?.(fileOf());
    }
  }
  return fileOf();

  async function search(shape: string, forms: readonly Form[], count: number) {
    const dims = Object.fromEntries(layer.dims.map((d) => [d, count]));
    const tensors = randomTensors(layer, dims, count + 1);
    const inputs = layer.tensors.filter((t) => t.role === 'input').map((t) => t.name);
    const weights = Object.fromEntries(Object.entries(tensors).filter(([name]) => !inputs.includes(name)));
    interface Entry {
      readonly form: Form | null;
      feed(): void;
      run(): void;
      dispose(): void;
    }
    const entries: Entry[] = [];
    const small = Math.min(count, 7);
    const smallDims = Object.fromEntries(layer.dims.map((d) => [d, small]));
    const smallTensors = randomTensors(layer, smallDims, 5);
    try {
      for (const [i, form] of [null, ...forms].entries()) {
        options.status?.(`compiling and checking ${i + 1} of ${forms.length + 1}`);
        await breathing();
        if (options.stop?.aborted === true) return null;
        const target = form === null ? wasm : withForm(wasm, shape, form);
        const wrong = await compareLayer(device, layer, smallDims, smallTensors, { target, capabilities }).catch(
          refused,
        );
        if (wrong !== null && form === null) throw new Error(`${shape}: the target's own form is wrong: ${wrong}`);
        if (wrong !== null) continue;
        const loaded = await loadLayer(device, await compile(layer, { target, capabilities }), weights);
        const prepared = await loaded.prepare(dims);
        entries.push({
          form,
          // Only once all are there: each that is loaded may make the device's memory grow, which detaches the views of the others.
          feed: () => {
            for (const name of inputs) prepared.inputs[name]?.set(tensors[name] as Float32Array);
          },
          run: () => prepared.runSync(),
          dispose: () => {
            prepared[Symbol.dispose]();
            loaded[Symbol.dispose]();
          },
        });
      }
      for (const e of entries) e.feed();
      const best = await halve(entries);
      return options.stop?.aborted === true ? null : best;
    } finally {
      for (const e of entries) e.dispose();
    }

    async function halve(all: readonly Entry[]): Promise<Pick<Choice, 'form' | 'gain'>> {
      const [own, ...rest] = all as [Entry, ...Entry[]];
      let field = rest;
      const rounds = Math.max(1, Math.ceil(Math.log2(Math.max(1, rest.length))));
      // A third of the time is for the last comparison.
      const round = (options.seconds * 1000 * 2) / 3 / rounds;
      while (field.length > 1) {
        options.status?.(`timing ${field.length} that are left of ${rest.length}`);
        const times = await turns([own, ...field], round / (field.length + 1), options.stop);
        const median = (e: Entry): number => spreadOf(times.get(e) ?? []).median;
        field = field.sort((a, b) => median(a) - median(b)).slice(0, Math.ceil(field.length / 2));
      }
      const winner = field[0];
      if (winner === undefined) return { form: null, gain: { median: 1, low: 1, high: 1 } };
      options.status?.("timing the best beside the compiler's own");
      const times = await turns([own, winner], (options.seconds * 1000) / 6, options.stop);
      const theirs = times.get(winner) ?? [];
      const gain = spreadOf((times.get(own) ?? []).map((t, i) => t / (theirs[i] as number)));
      return { form: isGain(gain) ? winner.form : null, gain };
    }
  }
}

/** What the compiler does not accept as a form of this unit is no candidate; everything else is a defect. */
function refused(error: unknown): string {
  if (error instanceof CompileError) return error.message;
  throw error;
}

/** Times of each, taking turns of 2 ms and more; each has `milliseconds` in all, the first fifth of it to settle and not given back. */
async function turns<E extends { readonly run: () => void }>(
  entries: readonly E[],
  milliseconds: number,
  stop?: AbortSignal,
): Promise<Map<E, readonly number[]>> {
  const samples = new Map(entries.map((e) => [e, [] as number[]]));
  const start = performance.now();
  const total = milliseconds * entries.length;
  let count = 0;
  do {
    for (let i = 0; i < entries.length; i++) {
      const e = entries[(i + count) % entries.length] as E;
      const before = performance.now();
      let runs = 0;
      do {
        e.run();
        runs++;
      } while (performance.now() - before < 2);
      samples.get(e)?.push((performance.now() - before) / runs);
    }
    count++;
    // Others may use the thread between rounds, and Ctrl-C is heard.
    await breathing();
  } while (performance.now() - start < total && stop?.aborted !== true);
  return new Map(entries.map((e) => [e, (samples.get(e) ?? []).slice(-Math.max(1, Math.floor(0.8 * count)))]));
}

const withForm = (target: Target, shape: string, form: Form): Target => ({
  ...target,
  variants: (unit, capabilities, layer) =>
    shapeOf(unit) === shape ? [{ name: '', from: 0, form }] : target.variants(unit, capabilities, layer),
});

/** A piece of the numbers of rows, before pieces are named. */
type Piece = Omit<Variant, 'name'>;

/**
 * Variants from choices: each number of rows speaks for those nearer to it than to the next, on a logarithmic scale. Where the target's
 * own form was not beaten its own variants stay; a shape of which none was beaten is left out, and compiled as ever.
 */
export function shapesOf(
  choices: readonly Choice[],
  rows: readonly number[],
  own: ReadonlyMap<string, readonly Variant[]>,
): Record<string, readonly Variant[]> {
  const shapes: Record<string, readonly Variant[]> = {};
  for (const shape of new Set(choices.map((c) => c.shape))) {
    const all = choices.filter((c) => c.shape === shape).sort((a, b) => a.rows - b.rows);
    if (!rows.every((r) => all.some((c) => c.rows === r)) || all.every((c) => c.form === null)) continue;
    const pieces = all.flatMap((choice, i): readonly Piece[] => {
      const [last, next] = [all[i - 1], all[i + 1]];
      const from = last === undefined ? 0 : Math.ceil(Math.sqrt(last.rows * choice.rows));
      const below = next === undefined ? Number.POSITIVE_INFINITY : Math.ceil(Math.sqrt(choice.rows * next.rows));
      if (choice.form !== null) return [{ from, below, form: choice.form }];
      return (own.get(shape) ?? [])
        .map((v) => ({
          form: v.form,
          from: Math.max(from, v.from),
          below: Math.min(below, v.below ?? Number.POSITIVE_INFINITY),
        }))
        .filter((v) => v.from < v.below);
    });
    const joined: Piece[] = [];
    for (const piece of pieces) {
      const before = joined.at(-1);
      if (before !== undefined && JSON.stringify(before.form) === JSON.stringify(piece.form))
        joined[joined.length - 1] = { ...piece, from: before.from };
      else joined.push(piece);
    }
    shapes[shape] = joined.map(
      ({ from, below = 0, form }): Variant =>
        below === Number.POSITIVE_INFINITY ? { name: '', from, form } : { name: `to_${below - 1}`, from, below, form },
    );
  }
  return shapes;
}
