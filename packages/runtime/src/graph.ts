/**
 * A compiled graph on a device: artefacts loaded once, weights uploaded once, and for each set of dims that is used an
 * arena and a prepared submission, kept for the next call. The device may be any that keeps the contract.
 */
import type { CompiledGraph, DimValues, WeightData } from '@espalier/artefact';
import type { Device, DeviceBuffer, DeviceLaunch, Program, Submission } from './contract.ts';
import { type DimSource, inferDims } from './dims.ts';
import { RuntimeError } from './errors.ts';
import { checkFinite } from './finite.ts';
import { artefactOf, checkGraph } from './graph-check.ts';
import { type GraphPlan, planGraph } from './graph-plan.ts';
import { PreparedGraph } from './prepared.ts';
import {
  elementsOf,
  type HostTensor,
  type InputTensor,
  inputParts,
  kindOf,
  storageOf,
  type WeightSource,
  type WeightTensor,
} from './tensor-data.ts';
import { checkWeight, fetchWeight, packedKey, roomFor, uploadWeight } from './weights.ts';

/** A result: a copy of its own, or with `outputs: 'view'` the device's memory. */
export type OutputTensor = HostTensor<Float32Array | Int32Array>;

export interface GraphRun {
  readonly inputs: Readonly<Record<string, InputTensor>> | ReadonlyMap<string, InputTensor>;
  /** Dims that do not follow from the inputs, or that shall be checked against them. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Tensors to return besides the outputs, by name. Keeping costs memory: kept tensors share none. */
  readonly keep?: readonly string[] | 'all';
  /**
   * `copy` (the default): results are the caller's. `view`: where the host can address the device's memory, results are that
   * memory, valid until the next run of this graph or the next buffer made on the device, and only to be read.
   */
  readonly outputs?: 'copy' | 'view';
}

export interface GraphOptions {
  /** Sets of dims (and kept tensors) that stay prepared; the one used longest ago makes way. 4 unless told. */
  readonly prepared?: number;
}

/** A plan with its memory and launches on the device. */
export interface BuiltPlan extends Disposable {
  readonly plan: GraphPlan;
  /** As `plan.buffers`. */
  readonly arenas: readonly DeviceBuffer[];
  readonly submission: Submission;
}

/** The parts of a loaded graph that live on the device. */
interface Resident {
  readonly programs: readonly Program[];
  readonly weights: ReadonlyMap<string, DeviceBuffer>;
}

/** A graph ready to run. Disposing it frees its weights and arenas; the device stays open. */
export class GraphInstance implements Disposable {
  readonly device: Device;
  readonly compiled: CompiledGraph;
  readonly #resident: Resident;
  readonly #limit: number;
  readonly #prepared = new Map<string, BuiltPlan>();
  readonly #own = new Set<PreparedGraph>();
  #running = false;
  /** Runs of prepared graphs that have not ended. */
  #ownRuns = 0;
  #disposed = false;

  /** Use `loadGraph`. */
  constructor(device: Device, compiled: CompiledGraph, resident: Resident, options: GraphOptions) {
    this.device = device;
    this.compiled = compiled;
    this.#resident = resident;
    this.#limit = Math.max(1, options.prepared ?? 4);
  }

  /**
   * Runs the graph; returns its outputs and the kept tensors by name. Rejects with RuntimeError R001 to R007 (inputs and
   * dims), R012 (disposed), R013 (the last run has not ended), R015 (unknown name in `keep`), R020 (out of memory), and with
   * whatever `Submission.run` rejects with.
   */
  async run(call: GraphRun): Promise<Map<string, OutputTensor>> {
    this.#checkOpen();
    if (this.#running)
      throw new RuntimeError(
        'R013',
        `graph ${this.compiled.name} is still running; await the last run, or load the graph once for each concurrent caller`,
      );
    this.#running = true;
    try {
      const inputs = collectInputs(this.compiled, call.inputs);
      const dims = inferDims(this.compiled.dims, inputs, call.dims);
      const keep = call.keep === 'all' ? writtenTensors(this.compiled) : [...new Set(call.keep ?? [])];
      const data = inputs.map((input) => this.#apart(input.data));
      const prepared = await this.#prepare(dims, keep);
      for (const [i, input] of inputs.entries()) {
        const place = prepared.plan.tensors.get(input.name);
        if (place && input.length > 0) prepared.arenas[place.buffer]?.write(data[i] as WeightData, place.byteOffset);
      }
      return await runAndRead(prepared, new Set([...this.compiled.outputs, ...keep]), call.outputs === 'view');
    } finally {
      this.#running = false;
      this.#freeOnceIdle();
    }
  }

  /**
   * Prepares the graph for one set of dims, with memory of its own: for callers that run it again and again, whose inputs and
   * outputs are then views of the device's memory, and whose runs allocate nothing. `keep` as in `GraphRun`. Rejects with
   * RuntimeError R006, R007 (dims), R012, R015, R020, or R028 where the device cannot do that.
   */
  async prepare(
    dims: Readonly<Record<string, number>> = {},
    options: Pick<GraphRun, 'keep'> = {},
  ): Promise<PreparedGraph> {
    this.#checkOpen();
    const { compiled } = this;
    const keep = options.keep === 'all' ? writtenTensors(compiled) : [...new Set(options.keep ?? [])];
    const values = inferDims(compiled.dims, [], dims);
    // Inputs live to the end, so that what was written once stays good for every run.
    const lasting = [...new Set([...compiled.inputs, ...keep])];
    const built = await this.#build(this.#plan(values, lasting));
    if (this.#disposed) built[Symbol.dispose]();
    this.#checkOpen();
    try {
      const prepared: PreparedGraph = new PreparedGraph(built, {
        name: compiled.name,
        dims: values,
        inputs: compiled.inputs,
        outputs: [...new Set([...compiled.outputs, ...keep])],
        runBegins: () => {
          this.#ownRuns++;
        },
        runEnded: () => {
          this.#ownRuns--;
          this.#freeOnceIdle();
        },
        disposed: () => this.#own.delete(prepared),
      });
      this.#own.add(prepared);
      return prepared;
    } catch (error) {
      built[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes on the device: packed weights, and the arenas of prepared dims. */
  get memory(): { readonly weights: number; readonly arenas: number } {
    const sum = (buffers: Iterable<DeviceBuffer>): number => [...buffers].reduce((a, b) => a + b.byteLength, 0);
    return {
      weights: sum(this.#resident.weights.values()),
      arenas: sum([...this.#prepared.values(), ...[...this.#own].map(({ built }) => built)].flatMap((b) => b.arenas)),
    };
  }

  async #prepare(dims: DimValues, keep: readonly string[]): Promise<BuiltPlan> {
    const key = JSON.stringify([this.compiled.dims.map((dim) => dims[dim]), [...keep].sort()]);
    const known = this.#prepared.get(key);
    if (known) {
      // A Map keeps insertion order, so putting it in again makes it the latest used.
      this.#prepared.delete(key);
      this.#prepared.set(key, known);
      return known;
    }
    const plan = this.#plan(dims, keep);
    while (this.#prepared.size >= this.#limit) this.#forgetOldest();
    for (;;) {
      try {
        const prepared = await this.#build(plan);
        this.#prepared.set(key, prepared);
        return prepared;
      } catch (error) {
        // Memory held for other dims is only a cache: give it up before giving up.
        if (!(error instanceof RuntimeError && error.code === 'R020') || this.#prepared.size === 0) throw error;
        this.#forgetOldest();
      }
    }
  }

  #plan(dims: DimValues, keep: readonly string[]): GraphPlan {
    const { alignment, info } = this.device;
    return planGraph(this.compiled, dims, keep, alignment, info.placement);
  }

  async #build(plan: GraphPlan): Promise<BuiltPlan> {
    const { programs, weights } = this.#resident;
    const { name } = this.compiled;
    const arenas: DeviceBuffer[] = [];
    let submission: Submission | undefined;
    const free = (): void => {
      submission?.[Symbol.dispose]();
      for (const arena of arenas) arena[Symbol.dispose]();
    };
    try {
      for (const [i, bytes] of plan.buffers.entries())
        arenas.push(
          this.device.createBuffer(bytes, plan.buffers.length === 1 ? `arena of ${name}` : `arena ${i} of ${name}`),
        );
      const launches = plan.launches.map(
        (planned): DeviceLaunch => ({
          program: programs[planned.artefact] as Program,
          launch: planned.launch,
          grid: planned.grid,
          scratch: planned.scratch,
          work: planned.work,
          dims: planned.dims,
          label: planned.label,
          buffers: planned.arguments.map((argument) => {
            if (argument.kind === 'arena')
              return { ...argument.place, buffer: arenas[argument.place.buffer] as DeviceBuffer };
            const buffer = weights.get(packedKey(argument.weight, argument.binding)) as DeviceBuffer;
            return { buffer, byteOffset: 0, byteLength: buffer.byteLength };
          }),
        }),
      );
      submission = this.device.prepare(launches);
      await submission.ready;
      return { plan, arenas, submission, [Symbol.dispose]: free };
    } catch (error) {
      free();
      throw error;
    }
  }

  /**
   * `data`, or a copy where it may lie in the device's own memory, as outputs that are views do: that may move, be handed out anew, or
   * be written with other inputs before it is read.
   */
  #apart(data: WeightData): WeightData {
    const known = this.#resident.weights.values().next().value ?? this.#prepared.values().next().value?.arenas[0];
    const own = data.buffer instanceof ArrayBuffer && known && data.buffer !== known.view?.(0, 0).buffer;
    return own ? data : data.slice();
  }

  #forgetOldest(): void {
    for (const [key, prepared] of this.#prepared) {
      this.#prepared.delete(key);
      prepared[Symbol.dispose]();
      return;
    }
  }

  #checkOpen(): void {
    if (this.#disposed) throw new RuntimeError('R012', `graph ${this.compiled.name} was disposed of; load it again`);
  }

  /** Frees everything where the graph was disposed of and its last run has ended. */
  #freeOnceIdle(): void {
    if (!this.#disposed || this.#running || this.#ownRuns > 0) return;
    while (this.#prepared.size > 0) this.#forgetOldest();
    freeResident(this.#resident);
  }

  /** Frees everything on the device; during a run, when that run ends. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const prepared of this.#own) prepared.dispose();
    this.#freeOnceIdle();
  }

  /** The same as `[Symbol.dispose]`. */
  dispose(): void {
    this[Symbol.dispose]();
  }
}

function freeResident(resident: Resident): void {
  for (const buffer of resident.weights.values()) buffer[Symbol.dispose]();
  for (const program of new Set(resident.programs)) program[Symbol.dispose]();
}

const writtenTensors = (graph: CompiledGraph): readonly string[] => [
  ...new Set([...graph.inputs, ...graph.steps.flatMap((step) => Object.values(step.tensors))]),
];

function collectInputs(
  graph: CompiledGraph,
  given: GraphRun['inputs'],
): readonly (DimSource & { readonly data: HostTensor['data'] })[] {
  const table =
    given instanceof Map ? (given as ReadonlyMap<string, InputTensor>) : new Map(Object.entries(given ?? {}));
  for (const name of table.keys())
    if (!graph.inputs.includes(name))
      throw new RuntimeError(
        'R002',
        `${graph.name} has no input ${name}; its inputs are ${graph.inputs.join(', ') || '(none)'}`,
      );
  return graph.inputs.map((name) => {
    const tensor = graph.tensors.find((t) => t.name === name);
    const input = table.get(name);
    if (input === undefined || tensor === undefined)
      throw new RuntimeError('R001', `${graph.name} needs input ${name}; its inputs are ${graph.inputs.join(', ')}`);
    const { data, shape } = inputParts(input);
    // A detached array has no elements, and would pass for an empty one.
    const detached = (data?.buffer as { readonly detached?: boolean } | undefined)?.detached;
    if (detached || storageOf(data) !== tensor.storage)
      throw new RuntimeError(
        'R003',
        `input ${name} of ${graph.name} takes ${tensor.storage === 'f32' ? 'a Float32Array' : 'an Int32Array'}, ` +
          `got ${detached ? 'a detached array' : kindOf(data)}; convert it`,
      );
    return { name, declared: tensor.shape, length: data.length, data, ...(shape ? { shape: Array.from(shape) } : {}) };
  });
}

async function runAndRead(
  { plan, arenas, submission }: BuiltPlan,
  names: ReadonlySet<string>,
  asView: boolean,
): Promise<Map<string, OutputTensor>> {
  const tensors = [...names].flatMap((name) => plan.tensors.get(name) ?? []);
  const ranges = tensors.map(({ buffer, byteOffset, byteLength }) => ({
    buffer: arenas[buffer] as DeviceBuffer,
    byteOffset,
    byteLength,
  }));
  const inOneGo = asView && ranges.every(({ buffer }) => buffer.view) ? undefined : submission.runAndRead;
  const given = inOneGo ? await inOneGo.call(submission, ranges) : await submission.run();
  const results = new Map<string, OutputTensor>();
  for (const [i, { name, storage, shape }] of tensors.entries()) {
    const { buffer, byteOffset, byteLength } = ranges[i] as (typeof ranges)[number];
    const bytes =
      given?.[i] ??
      (asView && buffer.view ? buffer.view(byteOffset, byteLength) : await buffer.read(byteOffset, byteLength));
    results.set(name, { data: elementsOf(storage === 'i32' ? 'i32' : 'f32', bytes), shape });
  }
  return results;
}

/** The programs of all artefacts, each distinct one loaded once and all at the same time: GPUs take long to compile. */
async function loadPrograms(device: Device, { artefacts }: CompiledGraph): Promise<readonly Program[]> {
  const loading = new Map<string, Promise<Program>>();
  const keys = artefacts.map((artefact) => JSON.stringify(artefact.manifest));
  for (const [i, artefact] of artefacts.entries()) {
    const key = keys[i] as string;
    if (!loading.has(key)) loading.set(key, device.load(artefact));
  }
  const settled = await Promise.allSettled(loading.values());
  const loaded = settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = settled.find((outcome) => outcome.status === 'rejected');
  if (failed) {
    for (const program of loaded) program[Symbol.dispose]();
    throw failed.reason;
  }
  return Promise.all(keys.map((key) => loading.get(key) as Promise<Program>));
}

/** A weight, and the forms in which steps take it, by `packedKey`. */
interface Upload {
  readonly source: WeightSource;
  /** A step whose kernels take it to be finite. */
  finite?: string;
  readonly forms: Map<string, (weight: WeightTensor) => DeviceBuffer>;
}

/** What is to be uploaded, by name of weight. Throws RuntimeError R008, R010 or R011. */
function planUploads(
  device: Device,
  compiled: CompiledGraph,
  weights: ReadonlyMap<string, WeightSource>,
): ReadonlyMap<string, Upload> {
  const uploads = new Map<string, Upload>();
  for (const step of compiled.steps)
    for (const binding of artefactOf(compiled, step).manifest.bindings) {
      const name = binding.role === 'weight' ? step.weights[binding.name] : undefined;
      if (name === undefined) continue;
      const source = weights.get(name);
      if (!source)
        throw new RuntimeError(
          'R008',
          `weight ${name}, which ${step.id} takes as ${binding.name}, is missing; add it to the weights`,
        );
      const shape = checkWeight(name, source, binding, step.id);
      const upload: Upload = uploads.get(name) ?? { source, forms: new Map() };
      uploads.set(name, upload);
      if (binding.finite === true) upload.finite ??= step.id;
      upload.forms.set(packedKey(name, binding), (weight) => uploadWeight(device, name, weight, shape, binding.layout));
    }
  return uploads;
}

/**
 * Loads a compiled graph: checks it and every weight, loads each distinct artefact once, packs and uploads each weight once
 * per layout. Weights that the graph does not name are left alone; those given on demand are fetched one at a time and
 * let go of. Rejects with RuntimeError R008, R010, R011, R031 (weights), R014 (steps that do not fit), R020 (out of memory),
 * ArtefactError, or what a weight's `load` rejects with; whatever was loaded by then is freed.
 */
export async function loadGraph(
  device: Device,
  compiled: CompiledGraph,
  weights: ReadonlyMap<string, WeightSource>,
  options: GraphOptions = {},
): Promise<GraphInstance> {
  checkGraph(compiled);
  const uploads = planUploads(device, compiled, weights);
  const buffers = new Map<string, DeviceBuffer>();
  const programs = await loadPrograms(device, compiled);
  try {
    const room = roomFor([...uploads.values()].map(({ source }) => source));
    for (const [name, { source, finite, forms }] of uploads) {
      const weight = await fetchWeight(name, source, room);
      if (finite !== undefined) checkFinite(name, weight, finite);
      for (const [key, upload] of forms) buffers.set(key, upload(weight));
    }
  } catch (error) {
    freeResident({ programs, weights: buffers });
    throw error;
  }
  return new GraphInstance(device, compiled, { programs, weights: buffers }, options);
}
