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
  /** Counts what was disposed of, the device included; while it stands still, no submission needs to look again. */
  disposals: number;
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

/** Waking a thread takes some 100 µs, meeting one that spins less than 1 µs: only a hundred times the work is worth it. */
const WAKING = 100;

/** See `Submission`. */
export class WasmSubmission implements Submission {
  readonly #host: SubmissionHost;
  readonly #checked: readonly CheckedLaunch[];
  readonly #address: number;
  readonly #tableAddress: number;
  readonly #table: Table;
  /** The main thread's part of a run on all threads. */
  readonly #shared: readonly Call[];
  /** A run on the calling thread alone: the kernels, all their arguments bound. */
  readonly #alone: readonly (() => void)[];
  /** Index of the launch that each of them is. */
  readonly #launches: readonly number[];
  readonly #statusWord: number;
  readonly #statusEnd: number;
  readonly #parallel: boolean;
  /** Whether the work to share out is worth waiting for sleeping threads. */
  readonly #wakes: boolean;
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
    const shared = checked.reduce((sum, { launch }, i) => sum + (launches[i]?.parallel ? launch.work : 0), 0);
    this.#wakes = shared >= WAKING * host.minimumWork;
    if (this.#parallel) writeTable(this.#table, host.memory.words, this.#tableAddress / 4);
    this.#shared = callsOf(this.#table, host.kernels, 0, threads);
    const serial = { ...this.#table, launches: launches.map((launch) => ({ ...launch, parallel: false })) };
    const alone = callsOf(serial, host.kernels, 0, 1);
    this.#alone = alone.flatMap(({ kernel, words }) => (kernel ? [kernel.bind(undefined, ...words)] : []));
    this.#launches = alone.flatMap(({ kernel, launch }) => (kernel ? [launch] : []));
    this.#statusWord = this.#address / 4;
    this.#statusEnd = this.#statusWord + checked.length;
    host.memory.words.fill(0, this.#statusWord, this.#statusEnd);
  }

  async run(): Promise<void> {
    const { pool } = this.#host;
    if (!pool || !this.#parallel) return this.runSync();
    if (!this.#wakes && pool.asleep) return pool.alone(() => this.runSync());
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

  /** See `Submission.runSync`: nothing is allocated, and of a graph of one launch the kernel's call is most of it. */
  runSync(): void {
    this.#begin();
    const calls = this.#alone;
    let at = 0;
    try {
      for (; at < calls.length; at++) (calls[at] as () => void)();
    } catch (error) {
      this.#running = false;
      this.#conclude({
        launch: this.#launches[at] as number,
        message: error instanceof Error ? error.message : String(error),
      });
    }
    this.#running = false;
    this.#checkStatus();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#disposals = -1;
    if (!this.#running) this.#free();
  }

  #free(): void {
    if (!this.#host.disposed) this.#host.memory.release(this.#address);
  }

  #begin(): void {
    if (this.#running) throw new RuntimeError('R013', 'this submission is still running; await its last run first');
    if (this.#host.disposals !== this.#disposals) this.#lookForDisposed();
    this.#running = true;
  }

  #lookForDisposed(): void {
    const host = this.#host;
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    if (host.disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    for (const { launch, program, buffers } of this.#checked) {
      if (program.disposed)
        throw new RuntimeError('R012', `${launch.label}: its program was disposed of; load it again`);
      const gone = buffers.find((buffer) => buffer.disposed);
      if (gone)
        throw new RuntimeError('R012', `${launch.label}: buffer ${gone.label} was disposed of; prepare it again`);
    }
    this.#disposals = host.disposals;
  }

  /** Throws FaultError where a check failed. The status words are zero again afterwards, as they are after a good run. */
  #checkStatus(): void {
    const { words } = this.#host.memory;
    const [first, end] = [this.#statusWord, this.#statusEnd];
    for (let i = first; i < end; i++) {
      const code = words[i] as number;
      const checked = this.#checked[i - first];
      if (code === 0 || !checked) continue;
      words.fill(0, first, end);
      throw new FaultError(checked.launch.label, faultOf(checked.program.manifest.faults, code));
    }
  }

  #conclude(trap: Trap | undefined): void {
    this.#checkStatus();
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
