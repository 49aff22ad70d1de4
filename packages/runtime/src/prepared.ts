/**
 * A graph prepared for one set of dims, for callers to whom microseconds matter: inputs and outputs are the device's memory
 * itself, and a run on the calling thread is the kernels' calls and little else. Only for devices whose memory the host can
 * address and whose submissions can run at once.
 */
import type { DimValues } from '@espalier/artefact';
import { RuntimeError } from './errors.ts';
import type { BuiltPlan } from './graph.ts';
import { elementsOf } from './tensor-data.ts';

/** Tensors by name, each the device's memory. */
export type TensorViews = Readonly<Record<string, Float32Array | Int32Array>>;

/** What a prepared graph is told by the graph it is of, and tells it. */
export interface PreparedGraphParts {
  readonly name: string;
  readonly dims: DimValues;
  readonly inputs: readonly string[];
  /** Names of outputs and kept tensors. */
  readonly outputs: readonly string[];
  readonly runBegins: () => void;
  readonly runEnded: () => void;
  readonly disposed: () => void;
}

interface Views {
  readonly inputs: TensorViews;
  readonly outputs: TensorViews;
  /** A byte of the same memory: where it has moved, all views are detached, and this one's length is 0. */
  readonly sentinel: Uint8Array;
}

/** See `GraphInstance.prepare` and `Layer.prepare`. Disposing frees its memory; disposing of the graph disposes of it too. */
export class PreparedGraph implements Disposable {
  /** The dims it was prepared for. */
  readonly dims: DimValues;
  /** Extents of every input, output and kept tensor. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly built: BuiltPlan;
  readonly #parts: PreparedGraphParts;
  readonly #runSync: () => void;
  #views: Views;
  #running = false;
  #disposed = false;

  /** Use `GraphInstance.prepare`. Throws RuntimeError R028. */
  constructor(built: BuiltPlan, parts: PreparedGraphParts) {
    const { submission, plan } = built;
    const runSync = submission.runSync?.bind(submission);
    if (!runSync || !built.arenas.every((arena) => arena.view))
      throw new RuntimeError(
        'R028',
        `${parts.name}: this device cannot run a prepared graph on the calling thread; use run instead of prepare`,
      );
    this.built = built;
    this.dims = parts.dims;
    this.#parts = parts;
    this.#runSync = runSync;
    const names = [...parts.inputs, ...parts.outputs];
    this.shapes = Object.fromEntries(names.map((name) => [name, plan.tensors.get(name)?.shape ?? []]));
    this.#views = this.#look();
  }

  /**
   * The inputs, to be written between runs; they keep what was written. When the device's memory grows, which only preparing,
   * loading and new dims do, arrays taken before are detached: read this again then.
   */
  get inputs(): TensorViews {
    return this.#fresh().inputs;
  }

  /** The outputs and kept tensors as the last run left them, to be read between runs; taken again as `inputs` are. */
  get outputs(): TensorViews {
    return this.#fresh().outputs;
  }

  /**
   * Runs on the calling thread; the outputs are there when it returns. Throws FaultError for a failed check and RuntimeError R012,
   * R013, R021 as `Submission.run` rejects with, and once R029 when views taken before were detached: what a caller that
   * keeps them has written since went nowhere.
   */
  runSync(): void {
    if (this.#views.sentinel.length === 0) this.#moved();
    this.#runSync();
  }

  /** Runs on all threads of the device. Rejects as `runSync` throws, and with R022 where a thread died. */
  async run(): Promise<void> {
    if (this.#views.sentinel.length === 0) this.#moved();
    if (this.#running) throw new RuntimeError('R013', `${this.#parts.name} is still running; await its last run first`);
    this.#running = true;
    this.#parts.runBegins();
    try {
      await this.built.submission.run();
    } finally {
      this.#running = false;
      if (this.#disposed) this.built[Symbol.dispose]();
      this.#parts.runEnded();
    }
  }

  /** Frees its memory; during a run, when that ends. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#parts.disposed();
    if (!this.#running) this.built[Symbol.dispose]();
  }

  /** The same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #fresh(): Views {
    this.#checkOpen();
    if (this.#views.sentinel.length === 0) this.#views = this.#look();
    return this.#views;
  }

  #look(): Views {
    const { plan, arenas } = this.built;
    const view = (name: string): Float32Array | Int32Array => {
      const tensor = plan.tensors.get(name);
      const bytes = tensor && arenas[tensor.buffer]?.view?.(tensor.byteOffset, tensor.byteLength);
      if (!bytes) throw new RuntimeError('R015', `${this.#parts.name} has no tensor ${name}; load the graph again`);
      return elementsOf(tensor.storage === 'i32' ? 'i32' : 'f32', bytes);
    };
    const views = (names: readonly string[]): TensorViews =>
      Object.fromEntries(names.map((name) => [name, view(name)]));
    const { inputs, outputs } = this.#parts;
    return {
      inputs: views(inputs),
      outputs: views(outputs),
      sentinel: arenas[0]?.view?.(0, 1) ?? new Uint8Array(1),
    };
  }

  #checkOpen(): void {
    if (this.#disposed)
      throw new RuntimeError('R012', `prepared ${this.#parts.name} was disposed of; prepare it again`);
  }

  #moved(): never {
    this.#fresh();
    throw new RuntimeError(
      'R029',
      `${this.#parts.name}: the device's memory has grown and its views are detached; take inputs and outputs again, ` +
        'write what was written to the old ones, and run again',
    );
  }
}
