/** Our layers, timed: each is compiled and loaded once a precision, and run at every number of tokens. */
import { type Artefact, evaluateSize } from '@espalier/artefact';
import { compile, cuda } from '@espalier/codegen';
import { type Device, graphOfLayer, loadGraph, type WeightTensor } from '@espalier/runtime';
import { CudaBuffer, CudaSubmission } from '@espalier/runtime-cuda';
import type { Figures, Subject } from '../report.ts';
import { type InputPool, randomWeights } from './data.ts';
import { allSampled, compareRows, layerRows, sampledTokens } from './reference.ts';
import type { Stopwatch, TimedSteps } from './timing.ts';
import { type Precision, precisions, type Work } from './works.ts';

/** What the parts of the bench work with. */
export interface BenchTools {
  /** Ours, with the kernels that came along. */
  readonly device: Device;
  readonly stopwatch: Stopwatch;
  readonly inputs: InputPool;
  readonly tokens: readonly number[];
  /** Tries something: see `attempt`. */
  readonly attempt: (subject: Subject, body: () => Promise<Figures>) => Promise<boolean>;
}

/** A device that is watched: what was prepared on it last can be timed. */
export interface Watched extends Device {
  readonly timed: TimedSteps;
  readonly launches: () => Promise<number>;
  /** Figures `launches` and `part.X`: milliseconds of nodes of one kind, by the last word of their names, in a run with events between launches. */
  readonly parts: () => Promise<Figures>;
}

/** The same device; buffers begin as NaN, and the submission prepared last is kept, to time it. */
export function watching(device: Device): Watched {
  let last: { readonly submission: CudaSubmission; readonly labels: readonly string[] } | undefined;
  const prepared = (): { readonly submission: CudaSubmission; readonly labels: readonly string[] } => {
    if (!last) throw new Error('nothing was prepared on this device');
    return last;
  };
  return {
    ...device,
    createBuffer: (byteLength, label) => {
      const buffer = device.createBuffer(byteLength, label);
      if (buffer instanceof CudaBuffer) buffer.fill(0xff);
      return buffer;
    },
    prepare: (launches) => {
      const submission = device.prepare(launches);
      // As the submission leaves them out.
      const labels = launches.filter(({ grid }) => grid !== 0).map(({ label }) => label);
      last = submission instanceof CudaSubmission ? { submission, labels } : undefined;
      return submission;
    },
    timed: (count, step) => prepared().submission.timedSteps(count, step),
    launches: async () => (await prepared().submission.timings()).length,
    parts: async () => {
      const { submission, labels } = prepared();
      const timings = await submission.timings();
      const parts: Record<string, number> = {};
      for (const [i, milliseconds] of timings.entries()) {
        const name = `part.${kindOf(labels[i] ?? '')}`;
        parts[name] = (parts[name] ?? 0) + milliseconds;
      }
      return { launches: timings.length, ...parts };
    },
  };
}

/** Names of nodes tell their place first: "layers.3.attention.output", "11.ffn". */
const kindOf = (label: string): string =>
  label
    .split('.')
    .filter((word) => !/^\d+$/.test(word))
    .slice(-2)
    .join(' ') || label;

/** Microseconds a token. */
export const microseconds = (milliseconds: number, tokens: number): number => (1000 * milliseconds) / tokens;

/** Microseconds a token, billions of operations and of bytes a second, from the time back to back. */
export function rates(
  milliseconds: number,
  tokens: number,
  per: { readonly flops: number; readonly bytes?: number },
): Figures {
  return {
    microsecondsPerToken: microseconds(milliseconds, tokens),
    gflops: (per.flops * tokens) / milliseconds / 1e6,
    ...(per.bytes === undefined ? {} : { gigabytesPerSecond: per.bytes / milliseconds / 1e6 }),
  };
}

/** Least bytes that a run moves: inputs, outputs, and weights as `Work.bytes` says. */
const bytesOf = ({ bytes, depth, columns }: Work, tokens: number): number =>
  4 * tokens * (depth + columns) + ('once' in bytes ? bytes.once : tokens * bytes.eachToken);

/** A layer's weights as a graph takes them. */
const weightsOf = (
  { manifest }: Artefact,
  tensors: Readonly<Record<string, Float32Array | Uint16Array>>,
): ReadonlyMap<string, WeightTensor> =>
  new Map(
    manifest.bindings.flatMap(({ name, role, storage, shape }) => {
      const data = tensors[name];
      if (role !== 'weight' || !data) return [];
      return [[name, { data, storage, shape: shape.map((size) => evaluateSize(size, {})) }] as const];
    }),
  );

/** Times a layer in all its precisions. */
export async function timeLayer(tools: BenchTools, work: Work): Promise<void> {
  const { inputs, tokens: counts, stopwatch } = tools;
  const weights = randomWeights(work.layer, 11);
  const x = inputs.first(Math.max(...counts) * work.depth);
  const known = layerRows(work.layer, weights, x, work.depth, allSampled(counts));
  for (const precision of work.precisions) {
    const { capabilities, tolerance } = precisions[precision];
    const watched = watching(tools.device);
    const subject = (tokens: number): Subject => ({ by: 'espalier', work: work.name, precision, tokens });
    const loaded = await compile(work.layer, { target: work.target ?? cuda, capabilities })
      .then((artefact) => loadGraph(watched, graphOfLayer(artefact), weightsOf(artefact, weights), { prepared: 1 }))
      .catch((error: unknown) => ({ error }));
    using graph = 'error' in loaded ? undefined : loaded;
    for (const tokens of counts)
      await tools.attempt(subject(tokens), async () => {
        if (!graph) throw 'error' in loaded ? loaded.error : new Error('nothing was loaded');
        // Kept, so that no other tensor takes its memory and every run that is timed reads what the first did.
        const call = { inputs: { x: x.subarray(0, tokens * work.depth) }, keep: ['x'] };
        const y = (await graph.run(call)).get('y');
        if (!y) throw new Error(`${work.layer.name} has no output y`);
        const row = (t: number) => y.data.subarray(t * work.columns, (t + 1) * work.columns);
        const error = compareRows(known, sampledTokens(tokens), row, tolerance);
        const timing = await stopwatch.measure(watched.timed);
        const per = { flops: work.flops, bytes: bytesOf(work, tokens) };
        return { ...timing, ...rates(timing.backToBack, tokens, per), error, launches: await watched.launches() };
      });
  }
}

/** Every artefact that `timeLayer` compiles for a work. */
export async function* artefactsOf({ layer, target = cuda, precisions: wanted }: Work): AsyncGenerator<Artefact> {
  for (const precision of wanted as readonly Precision[])
    yield await compile(layer, { target, capabilities: precisions[precision].capabilities });
}
