/** Launches made ready on a WASM device: checked, laid out as a table for the threads, and turned into calls. */
import { type DeviceLaunch, FaultError, faultOf, RuntimeError, type Submission } from '@espalier/runtime';
import type { WasmBuffer } from './buffer.ts';
import type { KernelFunction } from './engine.ts';
import type { DeviceMemory } from './memory.ts';
import type { Trap, WorkerPool } from './pool.ts';
import type { WasmProgram } from './program.ts';
import { type Call, callsOf, endsAtBarrier, type Table, tableWords, writeTable } from './table.ts';

/** The parts of a device that a submission works with. */
export interface SubmissionHost {
  readonly memory: DeviceMemory;
  readonly pool: WorkerPool | undefined;
  /** All kernels loaded, by the index that tables use. */
  readonly kernels: readonly KernelFunction[];
  /** Launches of less work (floating-point operations or bytes) run on one thread. */
  readonly minimumWork: number;
  /** Counts buffers and programs that were disposed of; while it stands still, no submission needs to look again. */
  readonly disposals: number;
  readonly disposed: boolean;
}

/** A launch whose buffers and program were found to be this device's. */
export interface CheckedLaunch {
  readonly launch: DeviceLaunch;
  readonly program: WasmProgram;
  readonly buffers: readonly WasmBuffer[];
  readonly words: readonly number[];
}

let nextTable = 1;

/** See `Submission`; `runSync` is this device's own. */
export class WasmSubmission implements Submission {
  readonly #host: SubmissionHost;
  readonly #checked: readonly CheckedLaunch[];
  readonly #address: number;
  readonly #tableAddress: number;
  readonly #table: Table;
  /** The main thread's part of a run on all threads. */
  readonly #shared: readonly Call[];
  /** A run on the calling thread alone. */
  readonly #alone: readonly Call[];
  readonly #parallel: boolean;
  #disposals: number;
  #running = false;
  #disposed = false;

  /** Throws RuntimeError R020 when the device has no memory for the table and the scratch. */
  constructor(host: SubmissionHost, checked: readonly CheckedLaunch[]) {
    this.#host = host;
    this.#checked = checked;
    this.#disposals = host.disposals;
    const threads = host.pool?.threads ?? 1;
    const scratchStride = checked.reduce((most, { launch }) => Math.max(most, Math.ceil(launch.scratch / 64) * 64), 0);
    const statusBytes = Math.ceil((checked.length * 4) / 64) * 64;
    const launches = checked.map(({ launch, program, words }) => ({
      kernel: program.firstKernel + launch.launch,
      grid: launch.grid,
      parallel: threads > 1 && launch.grid > 1 && launch.work >= host.minimumWork,
      words,
    }));
    const table: Table = { id: nextTable++, launches, scratch: 0, scratchStride, status: 0 };
    const tableBytes = Math.ceil((tableWords(table) * 4) / 64) * 64;
    this.#address = host.memory.allocate(statusBytes + tableBytes + threads * scratchStride, 'a submission');
    this.#tableAddress = this.#address + statusBytes;
    this.#table = { ...table, status: this.#address, scratch: this.#tableAddress + tableBytes };
    this.#parallel = launches.some((launch) => launch.parallel);
    if (this.#parallel) writeTable(this.#table, host.memory.words, this.#tableAddress / 4);
    this.#shared = callsOf(this.#table, host.kernels, 0, threads);
    const serial = { ...this.#table, launches: launches.map((launch) => ({ ...launch, parallel: false })) };
    this.#alone = this.#parallel ? callsOf(serial, host.kernels, 0, 1) : this.#shared;
  }

  async run(): Promise<void> {
    const { pool } = this.#host;
    if (!pool || !this.#parallel) return this.runSync();
    this.#begin();
    try {
      const trap = pool.run({
        table: this.#tableAddress,
        calls: this.#shared,
        endsAtBarrier: endsAtBarrier(this.#table),
      });
      this.#conclude(trap instanceof Promise ? await trap : trap);
    } finally {
      this.#running = false;
      if (this.#disposed) this.#free();
    }
  }

  /**
   * Runs on the calling thread alone and returns when all is done, with the same results as `run`, bit for bit. Throws what
   * `run` rejects with.
   */
  runSync(): void {
    this.#begin();
    try {
      this.#conclude(this.#callAlone());
    } finally {
      this.#running = false;
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#free();
  }

  #free(): void {
    if (!this.#host.disposed) this.#host.memory.release(this.#address);
  }

  #callAlone(): Trap | undefined {
    for (const { launch, kernel, words } of this.#alone) {
      if (!kernel) continue;
      try {
        Reflect.apply(kernel, undefined, words);
      } catch (error) {
        return { launch, message: error instanceof Error ? error.message : String(error) };
      }
    }
    return undefined;
  }

  #begin(): void {
    const host = this.#host;
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    if (host.disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    if (this.#running) throw new RuntimeError('R013', 'this submission is still running; await its last run first');
    if (host.disposals !== this.#disposals) this.#lookForDisposed();
    this.#disposals = host.disposals;
    const status = this.#table.status / 4;
    host.memory.words.fill(0, status, status + this.#checked.length);
    this.#running = true;
  }

  #lookForDisposed(): void {
    for (const { launch, program, buffers } of this.#checked) {
      if (program.disposed)
        throw new RuntimeError('R012', `${launch.label}: its program was disposed of; load it again`);
      const gone = buffers.find((buffer) => buffer.disposed);
      if (gone)
        throw new RuntimeError('R012', `${launch.label}: buffer ${gone.label} was disposed of; prepare it again`);
    }
  }

  #conclude(trap: Trap | undefined): void {
    const { words } = this.#host.memory;
    const status = this.#table.status / 4;
    for (let i = 0; i < this.#checked.length; i++) {
      const code = words[status + i] as number;
      const checked = this.#checked[i];
      if (code !== 0 && checked)
        throw new FaultError(checked.launch.label, faultOf(checked.program.manifest.faults, code));
    }
    const trapped = trap && this.#checked[trap.launch];
    if (!trap || !trapped) return;
    const { launch, program } = trapped;
    const described = program.manifest.launches[launch.launch];
    throw new RuntimeError(
      'R021',
      `${launch.label}: kernel ${described?.kernel} (${described?.label}) trapped: ${trap.message}; its outputs are undefined. ` +
        'This is a fault of the compiler or of a damaged artefact: compile the layer again, and report it if it stays',
    );
  }
}
