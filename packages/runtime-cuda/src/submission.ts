/**
 * Launches made ready on a CUDA device. A run puts them on the stream one after another, or, where there are many, launches a
 * graph captured from them once; then the status words and what the caller wants to read are copied out and one event is waited for.
 */
import { type BufferRange, FaultError, faultOf, RuntimeError, type Submission } from '@espalier/runtime';
import { allocate, type BufferHost, type CudaBuffer } from './buffer.ts';
import { CAPTURE_THREAD_LOCAL, RESULT } from './driver/calls.ts';
import type { CallPurpose } from './driver/context.ts';
import {
  type CheckedLaunch,
  layOut,
  type OwnMemory,
  ownMemory,
  type ReadyLaunch,
  type ReadyLaunches,
} from './launches.ts';
import { BLOCK_BYTES } from './pinned.ts';

/** The parts of a device that a submission works with. */
export interface SubmissionHost extends BufferHost {
  /** `auto`: runs after the first of a submission with several launches are graphs. */
  readonly graphs: boolean | 'auto';
  /** Counts buffers and programs that were disposed of; while it stands still, no submission needs to look again. */
  readonly disposals: number;
  submissionDisposed(submission: CudaSubmission): void;
  /** The buffer of this device that `range`, to be read after a run, lies in. Throws RuntimeError R012 or R016. */
  checkRange(range: BufferRange): CudaBuffer;
}

/** Launches from which on a graph saves more than capturing it costs. */
const MANY = 4;

/** See `Submission`; the timings are this device's own. */
export class CudaSubmission implements Submission {
  readonly #host: SubmissionHost;
  readonly #checked: readonly CheckedLaunch[];
  readonly #memory: OwnMemory;
  /** Address of the submission's own memory on the device; 0 for none. */
  readonly #own: bigint;
  readonly #ready: ReadyLaunches;
  readonly #event: bigint;
  #graph: bigint | undefined;
  #graphRefused: string | undefined;
  #runs = 0;
  #disposals: number;
  #running = false;
  #disposed = false;

  /** Throws RuntimeError R020 when the device has no memory for scratch, R022, R027. */
  constructor(host: SubmissionHost, checked: readonly CheckedLaunch[]) {
    this.#host = host;
    this.#checked = checked;
    this.#disposals = host.disposals;
    this.#memory = ownMemory(checked);
    const what = `scratch of ${checked.length} launches`;
    this.#event = host.context.makeEvent('preparing a submission');
    try {
      this.#own = this.#memory.bytes === 0 ? 0n : allocate(host, this.#memory.bytes, what);
    } catch (error) {
      host.context.release('preparing a submission', 'cuEventDestroy_v2', this.#event);
      throw error;
    }
    this.#ready = layOut(checked, this.#memory, this.#own);
  }

  /** Whether runs are launches of a graph by now. */
  get isGraph(): boolean {
    return this.#graph !== undefined;
  }

  /** Why the driver would not make a graph of it, where it was asked to. Runs then launch the kernels one by one. */
  get graphRefused(): string | undefined {
    return this.#graphRefused;
  }

  async run(): Promise<void> {
    await this.runAndRead([]);
  }

  async runAndRead(ranges: readonly BufferRange[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    return this.#exclusively(ranges, async () => {
      this.#start();
      return this.#finish(ranges);
    });
  }

  /**
   * Runs once, on what the buffers hold, with an event between every two launches; resolves to the milliseconds of each launch, in order. Some
   * microseconds of each are the event's own. Rejects as `run` does.
   */
  async timings(): Promise<readonly number[]> {
    return this.#exclusively([], async () => {
      const { launches } = this.#ready;
      this.#clearStatus();
      return this.#timed(launches.length, (i) => this.#launch(launches[i] as ReadyLaunch));
    });
  }

  /**
   * Calls `step` `count` times with an event between every two; `run` puts one run on the stream, any number of times a step, and other
   * work of the device may be put there too. Resolves to the milliseconds that the device took for each step. As `runTimings` else.
   */
  async timedSteps(count: number, step: (i: number, run: () => void) => void): Promise<readonly number[]> {
    return this.#exclusively([], async () => {
      const run = (): void => this.#start();
      run();
      return this.#timed(count, (i) => step(i, run));
    });
  }

  /**
   * Runs `count` times, one run right after the other, with an event between every two; resolves to the milliseconds of each
   * run, copies to and from the host left out. Inputs must outlive a run: a graph that was run with its inputs in `keep` has
   * them. Rejects as `run` does.
   */
  async runTimings(count: number): Promise<readonly number[]> {
    return this.timedSteps(count, (_, run) => run());
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#host.submissionDisposed(this);
    this.#host.context.free(() => this.#free());
  }

  #free(): void {
    const { context } = this.#host;
    const what = 'freeing a submission';
    using stack = new DisposableStack();
    stack.use(this.#ready);
    stack.defer(() => context.release(what, 'cuEventDestroy_v2', this.#event));
    if (this.#own !== 0n) stack.defer(() => context.release(what, 'cuMemFree_v2', this.#own));
    const graph = this.#graph;
    if (graph !== undefined) stack.defer(() => context.release(what, 'cuGraphExecDestroy', graph));
  }

  async #exclusively<T>(ranges: readonly BufferRange[], body: () => Promise<T>): Promise<T> {
    const host = this.#host;
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    host.context.checkUsable();
    if (this.#running) throw new RuntimeError('R013', 'this submission is still running; await its last run first');
    if (host.disposals !== this.#disposals) this.#lookForDisposed();
    this.#disposals = host.disposals;
    for (const range of ranges) host.checkRange(range);
    this.#running = true;
    try {
      return await host.context.during(body);
    } finally {
      this.#running = false;
    }
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

  /** Puts one run on the stream. */
  #start(): void {
    const { context, graphs } = this.#host;
    const wanted = graphs === true || (graphs === 'auto' && this.#checked.length >= MANY && this.#runs > 0);
    if (wanted && this.#graph === undefined && this.#graphRefused === undefined && this.#checked.length > 0)
      this.#capture();
    this.#runs++;
    if (this.#graph === undefined) this.#enqueue();
    else context.call(this.#purpose('launching the graph'), 'cuGraphLaunch', this.#graph, context.stream);
  }

  #enqueue(): void {
    this.#clearStatus();
    for (const launch of this.#ready.launches) this.#launch(launch);
  }

  #clearStatus(): void {
    const { context } = this.#host;
    const { statusBytes } = this.#memory;
    if (statusBytes > 0)
      context.call(this.#purpose('clearing the status'), 'cuMemsetD8Async', this.#own, 0, statusBytes, context.stream);
  }

  #launch({ function: { handle, name, threads }, grid, parameters, label }: ReadyLaunch): void {
    const { context } = this.#host;
    const purpose: CallPurpose = {
      what: `${label}: launching kernel ${name} with ${grid} blocks of ${threads} threads`,
      code: 'R021',
      wayOut: 'compile the layer again for this device, and report it if it stays',
    };
    context.call(purpose, 'cuLaunchKernel', handle, grid, 1, 1, threads, 1, 1, 0, context.stream, parameters, null);
  }

  /** Makes a graph of the launches; on failure says why and leaves the stream as it was. */
  #capture(): void {
    const { context, graphs } = this.#host;
    try {
      const captured = this.#captured();
      try {
        this.#graph = context.make(this.#purpose('making a graph'), 'cuGraphInstantiateWithFlags', captured, 0n);
      } finally {
        context.release('making a graph', 'cuGraphDestroy', captured);
      }
    } catch (error) {
      if (context.lost !== undefined || graphs === true) throw error;
      this.#graphRefused = error instanceof Error ? error.message : String(error);
    }
  }

  /** The launches as a graph that is not yet runnable. An error ends the capture too, or the stream would take no more work. */
  #captured(): bigint {
    const { context } = this.#host;
    const purpose = this.#purpose('capturing');
    const out = new BigUint64Array(1);
    context.call(purpose, 'cuStreamBeginCapture_v2', context.stream, CAPTURE_THREAD_LOCAL);
    try {
      this.#enqueue();
    } catch (error) {
      const ended = context.attempt('cuStreamEndCapture', context.stream, out);
      if (ended === RESULT.success && out[0] !== 0n) context.attempt('cuGraphDestroy', out[0] as bigint);
      throw error;
    }
    context.call(purpose, 'cuStreamEndCapture', context.stream, out);
    return out[0] as bigint;
  }

  /** Copies status and ranges out, waits, and looks for faults. Ranges that fit a block travel together. */
  async #finish(ranges: readonly BufferRange[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const { context, pinned } = this.#host;
    const { statusBytes } = this.#memory;
    const purpose = this.#purpose('running');
    const places = this.#places(ranges);
    const copies = statusBytes > 0 || places.some((place) => place !== undefined);
    const block = copies ? pinned.take(purpose.what) : undefined;
    try {
      const copy = (to: number, from: bigint, bytes: number): void => {
        const target = (block?.address ?? 0n) + BigInt(to);
        context.call(purpose, 'cuMemcpyDtoHAsync_v2', target, from, bytes, context.stream);
      };
      if (statusBytes > 0) copy(0, this.#own, statusBytes);
      for (const [i, place] of places.entries()) {
        const range = ranges[i] as BufferRange;
        if (place !== undefined && range.byteLength > 0)
          copy(place, (range.buffer as CudaBuffer).address + BigInt(range.byteOffset), range.byteLength);
      }
      const event = block?.event ?? this.#event;
      context.record(event, purpose.what);
      await context.settle(event, purpose);
      if (block) this.#throwFault(block.bytes);
      const results: Uint8Array<ArrayBuffer>[] = [];
      for (const [i, { buffer, byteOffset, byteLength }] of ranges.entries()) {
        const place = places[i];
        if (place === undefined) results.push(await buffer.read(byteOffset, byteLength));
        else results.push(block ? block.bytes.slice(place, place + byteLength) : new Uint8Array());
      }
      return results;
    } finally {
      if (block) pinned.give(block);
    }
  }

  /** Where in a block each range goes, after the status words; undefined for those that do not fit. */
  #places(ranges: readonly BufferRange[]): readonly (number | undefined)[] {
    let next = Math.ceil(this.#memory.statusBytes / 16) * 16;
    return ranges.map(({ byteLength }) => {
      if (next + byteLength > BLOCK_BYTES) return undefined;
      const place = next;
      next += Math.ceil(byteLength / 16) * 16;
      return place;
    });
  }

  #throwFault(bytes: Uint8Array): void {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, this.#memory.statusBytes / 4);
    for (const [i, { launch, program }] of this.#checked.entries()) {
      const place = this.#memory.status[i];
      const code = place === undefined ? 0 : (words[place / 4] as number);
      if (code !== 0) throw new FaultError(launch.label, faultOf(program.manifest.faults, code));
    }
  }

  /** Times `step` and looks for faults afterwards. */
  async #timed(count: number, step: (i: number) => void): Promise<readonly number[]> {
    const milliseconds = await this.#host.context.timed(count, step);
    await this.#finish([]);
    return milliseconds;
  }

  /** For errors: what a call was for. An error met while waiting may be of any of the launches. */
  #purpose(doing: string): CallPurpose {
    const labels = [...new Set(this.#ready.launches.map((launch) => launch.label))];
    const some =
      labels.length > 3 ? `${labels.slice(0, 3).join(', ')} and ${labels.length - 3} others` : labels.join(', ');
    return { what: some === '' ? doing : `${doing} ${some}` };
  }
}
