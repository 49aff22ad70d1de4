/**
 * Timings by device events: nothing is timed whose output was not compared first, on memory that began as NaN. Reference values
 * are the float64 interpreter's for some tokens of each batch, since tokens do not depend on each other here.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Artefact, evaluateSize } from '@espalier/artefact';
import { compile, compileGraph, cuda } from '@espalier/codegen';
import { poisoned, randomTensors, type Tensors } from '@espalier/conformance';
import { interpretLayer } from '@espalier/ir';
import { feedText, graphOf, loadTokenizer, openCheckpoint } from '@espalier/models';
import { type Device, graphOfLayer, loadGraph, type WeightTensor } from '@espalier/runtime';
import { type CudaDevice, CudaSubmission, openCuda } from '@espalier/runtime-cuda';
import { type CublasLt, openCublasLt } from '../bench/cublas.ts';
import { type Work, works } from '../bench/works.ts';
import { withKernels } from '../kernels.ts';
import { attempt, type Stage, type StageContext } from './stage.ts';

type Figures = Readonly<Record<string, number | string>>;

/** How long something is timed: runs before, runs at most, and seconds in which as many as possible are made. */
interface Patience {
  readonly warmUp: number;
  readonly runs: number;
  readonly seconds: number;
}

const patient: Patience = { warmUp: 5, runs: 200, seconds: 0.5 };
const impatient: Patience = { warmUp: 1, runs: 2, seconds: 0 };
const patienceOf = (context: StageContext): Patience => (context.quick ? impatient : patient);

const at = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

/** Times `run(n)`, which resolves to the milliseconds of n runs: median, 10th and 90th percentile. */
async function measured(
  { warmUp, runs, seconds }: Patience,
  run: (count: number) => Promise<readonly number[]>,
): Promise<{ median: number } & Figures> {
  const [slowest = 1] = [...(await run(warmUp))].sort((a, b) => b - a);
  const fitting = Math.ceil((1000 * seconds) / Math.max(slowest, 1e-3));
  const sorted = Float64Array.from(await run(Math.min(runs, Math.max(5, fitting)))).sort();
  return { median: at(sorted, 0.5), low: at(sorted, 0.1), high: at(sorted, 0.9), runs: sorted.length };
}

/** A device that keeps the submission prepared last, to time it. */
function watching(device: Device): Device & { readonly last: () => CudaSubmission } {
  let last: CudaSubmission | undefined;
  return {
    ...device,
    prepare: (launches) => {
      const submission = device.prepare(launches);
      last = submission instanceof CudaSubmission ? submission : undefined;
      return submission;
    },
    last: () => {
      if (!last) throw new Error('nothing was prepared on this device');
      return last;
    },
  };
}

/** Tokens whose output is compared: the first, the last, and one between. */
const samples = (tokens: number): readonly number[] => [...new Set([0, tokens >> 1, tokens - 1])];

/** Throws unless the rows of `y` at some tokens are the interpreter's, within the work's tolerance of the largest value. */
function compareRows(work: Work, tokens: number, tensors: Tensors, y: ArrayLike<number>, columns: number): number {
  const rows = samples(tokens);
  const x = tensors['x'] as Float32Array;
  const depth = x.length / tokens;
  const chosen = Float32Array.from(rows.flatMap((t) => [...x.subarray(t * depth, (t + 1) * depth)]));
  const expected = interpretLayer(work.layer, {
    dims: { T: rows.length },
    tensors: { ...tensors, x: chosen },
    keep: ['y'],
  })['y'];
  if (!expected) throw new Error(`${work.layer.name} has no output y`);
  let largest = 0;
  for (const v of expected) largest = Math.max(largest, Math.abs(v));
  let worst = 0;
  for (const [r, t] of rows.entries())
    for (let o = 0; o < columns; o++) {
      const apart = Math.abs((y[t * columns + o] as number) - (expected[r * columns + o] as number));
      if (!(apart <= work.tolerance * largest))
        throw new Error(
          `nothing timed: output ${o} of token ${t} is ${y[t * columns + o]}, the interpreter says ${expected[r * columns + o]}, ` +
            `allowed are ${work.tolerance * largest}`,
        );
      worst = Math.max(worst, apart / largest);
    }
  return worst;
}

const rate = (work: Work, tokens: number, milliseconds: number): Figures => ({
  microsecondsPerToken: (1000 * milliseconds) / tokens,
  gflops: (work.flops * tokens) / milliseconds / 1e6,
});

async function timeWork(patience: Patience, device: Device, work: Work, tokens: number): Promise<Figures> {
  const tensors = randomTensors(work.layer, { T: tokens }, 11);
  const { x, ...weights } = tensors;
  const artefact = await compile(work.layer, { target: cuda, capabilities: work.capabilities });
  const watched = watching(device);
  using layer = await loadGraph(poisoned(watched), graphOfLayer(artefact), weightsOf(artefact, weights));
  // Kept, so that no other tensor takes its memory and every run that is timed reads what the first did.
  const results = await layer.run({ inputs: { x: x as Float32Array }, keep: ['x'] });
  const y = results.get('y');
  if (!y) throw new Error(`${work.layer.name} has no output y`);
  const error = compareRows(work, tokens, tensors, y.data, y.data.length / tokens);
  const timing = await measured(patience, (count) => watched.last().runTimings(count));
  const launches = await watched.last().timings();
  return { ...timing, ...rate(work, tokens, timing.median), error, launches: launches.length };
}

/** A layer's weights as a graph takes them. */
const weightsOf = ({ manifest }: Artefact, tensors: Tensors): ReadonlyMap<string, WeightTensor> =>
  new Map(
    manifest.bindings.flatMap(({ name, role, storage, shape }) => {
      const data = tensors[name];
      if (role !== 'weight' || !data) return [];
      return [[name, { data, storage, shape: shape.map((size) => evaluateSize(size, {})) }] as const];
    }),
  );

/** The upper half of each float32, rounded to nearest even. */
const toBf16 = (values: Float32Array): Uint16Array => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16);
};
const fromBf16 = (bits: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);

async function timeCublas(
  patience: Patience,
  device: CudaDevice,
  lt: CublasLt,
  work: Work,
  tokens: number,
  precision: Work['precision'],
): Promise<Figures> {
  if (!work.product) throw new Error(`${work.name} is no matrix product`);
  const { depth, columns } = work.product;
  const all = randomTensors(work.layer, { T: tokens }, 11);
  // The product alone: the bias is no part of what is timed.
  const tensors: Tensors = { ...all, b: new Float32Array(columns) };
  const half = precision === 'bf16';
  const bytes = half ? 2 : 4;
  const upload = (name: string, values: Float32Array) => {
    const buffer = device.createBuffer(values.length * bytes, name);
    buffer.write(half ? toBf16(values) : values);
    return buffer;
  };
  using x = upload('x', tensors['x'] as Float32Array);
  using w = upload('w', all['w'] as Float32Array);
  using y = device.createBuffer(tokens * columns * bytes, 'y');
  y.fill(0xff);
  using product = lt.prepare({ precision, tokens, depth, columns, x, w, y });
  product.enqueue();
  const raw = await y.read();
  const values = half ? fromBf16(new Uint16Array(raw.buffer)) : new Float32Array(raw.buffer);
  // bf16 keeps 7 bits of each factor and of the result.
  const tolerance = half ? 4e-2 : precision === 'tf32' ? 5e-3 : 1e-4;
  const error = compareRows({ ...work, tolerance }, tokens, tensors, values, columns);
  const timing = await measured(patience, (count) => device.timed(count, () => product.enqueue()));
  return { ...timing, ...rate(work, tokens, timing.median), error, library: lt.path };
}

const SENTENCE = 'The president of the united [MASK] spoke to the people.';
const batches = [1, 8, 64] as const;

/** The graph of a bundled model as one would deploy it. */
async function modelGraph(folder: string) {
  const checkpoint = await openCheckpoint(folder);
  return { checkpoint, mapped: graphOf(checkpoint, { outputs: 'final', mlmPositions: 'asked' }) };
}

async function timeModel(patience: Patience, device: Device, folder: string, batch: number): Promise<Figures> {
  const { checkpoint, mapped } = await modelGraph(folder);
  const tokenizer = loadTokenizer(checkpoint);
  const fed = feedText(mapped, tokenizer.encode(Array.from({ length: batch }, () => SENTENCE)), tokenizer);
  const watched = watching(device);
  using graph = await loadGraph(
    poisoned(watched),
    await compileGraph(mapped.graph, { target: cuda }),
    mapped.graph.weights,
  );
  // That the values are right is the models stage's to find; here, that every run gives the same finite ones.
  const call = { ...fed, keep: mapped.graph.inputs };
  const outputs = async () => {
    const results = await graph.run(call);
    return mapped.graph.outputs.flatMap((name) => results.get(name)?.data ?? []);
  };
  const [first, second] = [await outputs(), await outputs()];
  for (const [i, data] of first.entries()) {
    const odd = data.findIndex((v, k) => !Number.isFinite(v) || v !== second[i]?.[k]);
    if (odd >= 0)
      throw new Error(`nothing timed: element ${odd} of output ${i} is ${data[odd]}, then ${second[i]?.[odd]}`);
  }
  const timing = await measured(patience, (count) => watched.last().runTimings(count));
  const launches = await watched.last().timings();
  const start = performance.now();
  const { runs } = patience;
  for (let i = 0; i < runs; i++) await graph.run(fed);
  return { ...timing, launches: launches.length, byClock: (performance.now() - start) / runs };
}

const modelFolders = (root: string): readonly string[] =>
  readdirSync(join(root, 'models'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, 'models', entry.name));

async function benchCublas(context: StageContext, device: CudaDevice): Promise<void> {
  const lt = openCublasLt(device);
  if ('reason' in lt) {
    context.report({ name: 'cuBLASLt', outcome: 'skipped', detail: lt.reason });
    return;
  }
  using open = lt;
  const products = works.filter((work) => work.product !== undefined && work.precision === 'f32');
  for (const work of products)
    for (const precision of ['f32', 'tf32', 'bf16'] as const)
      for (const tokens of context.quick ? [1] : work.tokens)
        await attempt(context, `cuBLASLt: ${work.name}, ${precision}, ${tokens} tokens`, () =>
          timeCublas(patienceOf(context), device, open, work, tokens, precision),
        );
}

/** Times layers, cuBLASLt and the bundled models; each is a check with its figures. */
export const bench: Stage = async (context) => {
  using device = await openCuda(context.device);
  const tally = { shipped: 0, compiled: 0 };
  const shipping = withKernels(device, join(context.root, 'kernels'), tally);
  for (const work of context.quick ? works.slice(0, 1) : works)
    for (const tokens of context.quick ? [1] : work.tokens)
      await attempt(context, `${work.name}, ${work.precision}, ${tokens} tokens`, () =>
        timeWork(patienceOf(context), shipping, work, tokens),
      );
  for (const folder of modelFolders(context.root))
    for (const batch of context.quick ? [1] : batches)
      await attempt(context, `${folder.split(/[\\/]/).at(-1)}, batch ${batch}`, () =>
        timeModel(patienceOf(context), shipping, folder, batch),
      );
  context.report({ name: 'kernels', outcome: 'passed', figures: { ...tally } });
  // Last, since what goes wrong in someone else's library may take the process with it.
  await benchCublas(context, device);
};

/** Every artefact that is timed, for compiling beforehand. */
export async function* benchArtefacts(root: string): AsyncGenerator<Artefact> {
  for (const { layer, capabilities } of works) yield await compile(layer, { target: cuda, capabilities });
  for (const folder of modelFolders(root))
    yield* (await compileGraph((await modelGraph(folder)).mapped.graph, { target: cuda })).artefacts;
}
