/**
 * The search: for each unit of a layer and each number of rows all candidates are timed in turns, the better half longer and longer
 * (successive halving), until one is left. Candidates whose results differ from the interpreter's are dropped. What was
 * measured is kept as it comes, so that a search that was stopped goes on where it was.
 */
import {
  compile,
  type Form,
  partition,
  shapeOf,
  type Target,
  type Tuning,
  type Unit,
  type Variant,
  wasm,
} from '@espalier/codegen';
import { compareLayer, randomTensors } from '@espalier/conformance';
import type { LayerIR } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openWasm, wasmCapabilities } from '@espalier/runtime-wasm';
import { spreadOf } from '../measure.ts';
import { candidatesFor, type EngineFacts } from './candidates.ts';

/** One choice that was made: the best form for a shape at a number of rows. */
export interface Choice {
  readonly shape: string;
  readonly rows: number;
  readonly form: Form;
  /** Time with the target's own forms : time with this one, in the last round. */
  readonly gain: number;
  readonly tried: number;
}

/** A tuning with what it was made from: enough to go on with, and to know where it holds. */
export interface TuningFile extends Tuning {
  readonly machine: { readonly cpu: string; readonly engine: string; readonly date: string };
  readonly choices: readonly Choice[];
}

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
  /** Told after each choice. */
  readonly keep?: (file: TuningFile) => void;
  readonly stop?: AbortSignal;
}

const CACHE = 512 * 1024;

/** Rejects where the engine can't do 256 bits and was asked to. */
export async function tuneLayer(options: TuneOptions): Promise<TuningFile> {
  const { layer, rows, wide, before, machine } = options;
  using device = await openWasm({ wide });
  const capabilities = wasmCapabilities(device.info);
  const engine: EngineFacts = { registers: 16, lanes: wide ? 8 : 4, cache: CACHE };
  const choices: Choice[] = [...(before?.choices ?? [])];
  const fileOf = (): TuningFile => ({
    version: 1,
    target: wasm.name,
    capabilities,
    shapes: { ...before?.shapes, ...shapesOf(choices, rows) },
    machine,
    choices,
  });
  for (const unit of partition(layer)) {
    const shape = shapeOf(unit);
    const forms = candidatesFor(unit, shape.includes('walk'), engine);
    if (forms.length === 0) continue;
    for (const count of rows) {
      if (options.stop?.aborted === true) return fileOf();
      if (choices.some((c) => c.shape === shape && c.rows === count)) continue;
      options.progress?.(`${shape}, ${count} rows: ${forms.length} candidates`);
      const best = await search(unit, shape, forms, count);
      choices.push({ shape, rows: count, ...best, tried: forms.length });
      options.keep?.(fileOf());
    }
  }
  return fileOf();

  async function search(unit: Unit, shape: string, forms: readonly Form[], count: number) {
    const dims = Object.fromEntries(layer.dims.map((d) => [d, count]));
    const tensors = randomTensors(layer, dims, count + 1);
    const inputs = layer.tensors.filter((t) => t.role === 'input').map((t) => t.name);
    const weights = Object.fromEntries(Object.entries(tensors).filter(([name]) => !inputs.includes(name)));
    type Entry = { readonly form: Form | null; readonly run: () => void; readonly dispose: () => void };
    const entries: Entry[] = [];
    const small = Math.min(count, 7);
    for (const form of [null, ...forms]) {
      const target = form === null ? wasm : withForm(wasm, shape, form);
      const smallDims = Object.fromEntries(layer.dims.map((d) => [d, small]));
      const wrong = await compareLayer(device, layer, smallDims, randomTensors(layer, smallDims, 5), {
        target,
        capabilities,
      });
      if (wrong !== null) continue;
      const loaded = await loadLayer(device, await compile(layer, { target, capabilities }), weights);
      const prepared = await loaded.prepare(dims);
      for (const name of inputs) prepared.inputs[name]?.set(tensors[name] as Float32Array);
      entries.push({
        form,
        run: () => prepared.runSync(),
        dispose: () => {
          prepared[Symbol.dispose]();
          loaded[Symbol.dispose]();
        },
      });
    }
    try {
      return await halve(entries);
    } finally {
      for (const e of entries) e.dispose();
    }

    async function halve(all: readonly Entry[]): Promise<{ form: Form; gain: number }> {
      const [own, ...rest] = all as [Entry, ...Entry[]];
      let field = rest;
      const rounds = Math.max(1, Math.ceil(Math.log2(rest.length)));
      let times = new Map<Entry, number>();
      while (field.length > 0) {
        const slice = (options.seconds * 1000) / rounds / (field.length + 1);
        times = await turns([own, ...field], slice);
        field = field.sort((a, b) => (times.get(a) as number) - (times.get(b) as number));
        // Others may use the thread between rounds.
        await new Promise((resolve) => setImmediate(resolve));
        if (field.length === 1) break;
        field = field.slice(0, Math.ceil(field.length / 2));
      }
      const winner = field[0];
      if (winner?.form == null) throw new Error(`no candidate for ${shape} of ${unit.kind} is right`);
      return { form: winner.form, gain: (times.get(own) as number) / (times.get(winner) as number) };
    }
  }
}

/** Median time of each, taking turns; each has `milliseconds` in all, the first fifth of it to settle. */
async function turns<E extends { readonly run: () => void }>(
  entries: readonly E[],
  milliseconds: number,
): Promise<Map<E, number>> {
  const samples = new Map(entries.map((e) => [e, [] as number[]]));
  const start = performance.now();
  const total = milliseconds * entries.length;
  do {
    for (const e of entries) {
      const before = performance.now();
      let runs = 0;
      do {
        e.run();
        runs++;
      } while (performance.now() - before < 2);
      samples.get(e)?.push((performance.now() - before) / runs);
    }
  } while (performance.now() - start < total);
  return new Map(
    entries.map((e) => [
      e,
      spreadOf((samples.get(e) as number[]).slice(-Math.max(3, Math.floor(0.8 * (samples.get(e) as number[]).length))))
        .median,
    ]),
  );
}

const withForm = (target: Target, shape: string, form: Form): Target => ({
  ...target,
  variants: (unit, capabilities) =>
    shapeOf(unit) === shape ? [{ name: '', from: 0, form }] : target.variants(unit, capabilities),
});

/** Variants from choices: each number of rows speaks for those nearer to it than to the next, on a logarithmic scale. */
export function shapesOf(choices: readonly Choice[], rows: readonly number[]): Record<string, readonly Variant[]> {
  const shapes: Record<string, readonly Variant[]> = {};
  for (const shape of new Set(choices.map((c) => c.shape))) {
    const own = choices.filter((c) => c.shape === shape).sort((a, b) => a.rows - b.rows);
    if (!rows.every((r) => own.some((c) => c.rows === r))) continue;
    const variants: Variant[] = [];
    own.forEach((choice, i) => {
      const last = own[i - 1];
      const from = last === undefined ? 0 : Math.ceil(Math.sqrt(last.rows * choice.rows));
      const before = variants.at(-1);
      if (before !== undefined && JSON.stringify(before.form) === JSON.stringify(choice.form)) return;
      if (before !== undefined) variants[variants.length - 1] = { ...before, name: `to_${from - 1}`, below: from };
      variants.push({ name: '', from, form: choice.form });
    });
    shapes[shape] = variants;
  }
  return shapes;
}
