/**
 * Launches made ready once: buffers checked, bind groups made, sizes written. A run is then one command encoder with one
 * compute pass, one submission, and where something is to be read (results, status words) one journey back.
 */
import { type BufferRange, FaultError, faultOf, RuntimeError, type Submission } from '@espalier/runtime';
import { WebGpuBuffer } from './buffer.ts';
import { roundUp, USAGE } from './gpu.ts';
import type { Host } from './host.ts';
import type { BoundRange, CheckedLaunch } from './launch.ts';
import type { Span, Staging } from './staging.ts';

interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number];
  readonly bytes: number;
  readonly workgroupBytes: number;
  /** What is copied into the launch's joined buffer before it, and where to. */
  readonly copies: readonly Copy[];
}

interface Copy {
  readonly from: BoundRange;
  readonly to: GPUBuffer;
  readonly offset: number;
}

/** See `Submission`. Made by `WebGpuDevice.prepare`. */
export class WebGpuSubmission implements Submission {
  readonly ready: Promise<void>;
  readonly #host: Host;
  readonly #staging: Staging;
  readonly #checked: readonly CheckedLaunch[];
  /** Launches with checks: the n-th has its status word at n times the alignment. */
  readonly #watched: readonly CheckedLaunch[];
  readonly #dispatches: readonly Dispatch[];
  /** Sizes, scratch and status: this submission's own. */
  readonly #own: readonly GPUBuffer[];
  readonly #status: GPUBuffer | undefined;
  readonly #statusStep: number;
  #disposals: number;
  #running = false;
  #disposed = false;

  constructor(host: Host, staging: Staging, launches: readonly CheckedLaunch[]) {
    this.#host = host;
    this.#staging = staging;
    this.#checked = launches.filter(({ launch }) => launch.grid > 0);
    this.#watched = this.#checked.filter(({ described }) => described.checks === true);
    this.#disposals = host.disposals;
    this.#statusStep = host.gpu.limits.minStorageBufferOffsetAlignment;
    const { result, error } = host.scoped('a submission', () => this.#make());
    this.#dispatches = result.dispatches;
    this.#own = result.own;
    this.#status = result.status;
    this.ready = this.#found(error);
    // Whoever runs the submission hears of it; nobody need wait for `ready`.
    this.ready.catch(() => undefined);
  }

  async run(): Promise<void> {
    await this.runAndRead([]);
  }

  async runAndRead(ranges: readonly BufferRange[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const spans = ranges.map((range) => this.#spanOf(range));
    this.#begin();
    try {
      return await this.#host.track(this.#execute(spans));
    } finally {
      this.#running = false;
      if (this.#disposed) this.#free();
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#free();
  }

  #free(): void {
    for (const buffer of this.#own) this.#host.destroyBuffer(buffer);
  }

  /** Rejects with what went wrong making the submission, or any buffer it takes. */
  async #found(error: Promise<RuntimeError | undefined>): Promise<void> {
    const buffers = new Set(this.#checked.flatMap(({ ranges, joined }) => [...ranges, ...joined].map((r) => r.buffer)));
    const failures = await Promise.all([...[...buffers].map(({ failure }) => failure), error]);
    const first = failures.find((failure) => failure !== undefined);
    if (first) throw first;
  }

  async #execute(spans: readonly Span[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const host = this.#host;
    const { gpu, tally } = host;
    const statusBytes = this.#watched.length * this.#statusStep;
    const status: readonly Span[] = this.#status
      ? [{ buffer: this.#status, byteOffset: 0, byteLength: statusBytes }]
      : [];
    tally.runs++;
    if (this.#dispatches.length === 0 && spans.every(({ byteLength }) => byteLength === 0))
      return spans.map(() => new Uint8Array());
    const journey = this.#staging.journey([...status, ...spans]);
    const { error } = host.scoped('a run', () => {
      const encoder = gpu.createCommandEncoder();
      if (this.#status) encoder.clearBuffer(this.#status);
      let pass = encoder.beginComputePass();
      let last: GPUComputePipeline | undefined;
      for (const { pipeline, group, grid, copies } of this.#dispatches) {
        if (copies.length > 0) {
          // Copies stand between passes.
          pass.end();
          for (const { from, to, offset } of copies)
            encoder.copyBufferToBuffer(from.buffer.gpuBuffer, from.offset, to, offset, from.size);
          pass = encoder.beginComputePass();
          last = undefined;
        }
        if (pipeline !== last) pass.setPipeline(pipeline);
        last = pipeline;
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(grid[0], grid[1]);
      }
      pass.end();
      journey.encode(encoder);
      gpu.queue.submit([encoder.finish()]);
    });
    tally.submissions++;
    for (const { bytes, workgroupBytes } of this.#dispatches) {
      tally.dispatches++;
      tally.bytesBound += bytes;
      tally.workgroupBytes += workgroupBytes;
    }
    const hasReads = status.length + spans.length > 0;
    const arrived = journey.arrive();
    // All errors of the way here come before the results: what was wrong with them is known when they are.
    const [outcome] = await Promise.allSettled([
      hasReads ? arrived : host.untilLost(gpu.queue.onSubmittedWorkDone()),
      arrived,
    ]);
    if (host.loss) throw host.lossError();
    await this.ready;
    const refusal = (await journey.failure) ?? (await error);
    if (refusal) throw refusal;
    await host.settle();
    host.throwErrors();
    if (outcome.status === 'rejected') throw await host.explain(outcome.reason, 'the run');
    const results = await arrived;
    if (this.#status) this.#checkStatus(results[0] as Uint8Array<ArrayBuffer>);
    return results.slice(status.length);
  }

  #checkStatus(bytes: Uint8Array<ArrayBuffer>): void {
    const words = new Int32Array(bytes.buffer);
    for (const [i, { launch, program }] of this.#watched.entries()) {
      const code = words[(i * this.#statusStep) / 4] as number;
      if (code !== 0) throw new FaultError(launch.label, faultOf(program.manifest.faults, code));
    }
  }

  #begin(): void {
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    this.#host.checkOpen();
    if (this.#running) throw new RuntimeError('R013', 'this submission is still running; await its last run first');
    if (this.#host.disposals !== this.#disposals) this.#lookForDisposed();
    this.#disposals = this.#host.disposals;
    this.#host.beforeQueue();
    this.#running = true;
  }

  #lookForDisposed(): void {
    for (const { launch, program, ranges, joined } of this.#checked) {
      if (program.disposed)
        throw new RuntimeError('R012', `${launch.label}: its program was disposed of; load it again`);
      const gone = [...ranges, ...joined].find(({ buffer }) => buffer.disposed);
      if (gone)
        throw new RuntimeError(
          'R012',
          `${launch.label}: buffer ${gone.buffer.label} was disposed of; prepare it again`,
        );
    }
  }

  #spanOf({ buffer, byteOffset, byteLength }: BufferRange): Span {
    if (!(buffer instanceof WebGpuBuffer) || !buffer.belongsTo(this.#host))
      throw new RuntimeError('R016', `buffer ${buffer.label} to be read is of another device; correct the submission`);
    return buffer.span(byteOffset, byteLength);
  }

  #make(): {
    readonly dispatches: readonly Dispatch[];
    readonly own: readonly GPUBuffer[];
    readonly status: GPUBuffer | undefined;
  } {
    const host = this.#host;
    const { gpu, tally } = host;
    const own: GPUBuffer[] = [];
    const make = (label: string, size: number, usage: number): GPUBuffer => {
      const buffer = host.createBuffer({ label, size: roundUp(Math.max(size, 16), 16), usage });
      own.push(buffer);
      return buffer;
    };
    const status =
      this.#watched.length === 0
        ? undefined
        : make('status words', this.#watched.length * this.#statusStep, USAGE.storage | USAGE.copySrc | USAGE.copyDst);
    // Launches run one after another, so all use the same scratch.
    const scratches = this.#checked.flatMap(({ scratch }) => scratch ?? []);
    const scratch = scratches.length === 0 ? undefined : make('scratch', Math.max(...scratches), USAGE.storage);
    const sizes = this.#makeSizes(own);
    const dispatches = this.#checked.map((checked): Dispatch => {
      const { kernel, ranges, grid, described } = checked;
      const parts: GPUBufferBinding[] = ranges.map(({ buffer, offset, size }) => ({
        buffer: buffer.gpuBuffer,
        offset,
        size,
      }));
      const copies: Copy[] = [];
      if (described.joined !== undefined) {
        const bytes = checked.joined.reduce((sum, { size }) => sum + roundUp(size, 16), 0);
        const to = make(`joined for ${checked.launch.label}`, bytes, USAGE.storage | USAGE.copyDst);
        let offset = 0;
        for (const from of checked.joined) {
          copies.push({ from, to, offset });
          offset += roundUp(from.size, 16);
        }
        parts.push({ buffer: to, size: to.size });
      }
      if (checked.scratch !== undefined && scratch) parts.push({ buffer: scratch, size: scratch.size });
      if (described.checks === true && status)
        parts.push({ buffer: status, offset: this.#watched.indexOf(checked) * this.#statusStep, size: 16 });
      const bytes = parts.reduce((sum, { size }) => sum + (size ?? 0), 0);
      parts.push(sizes(checked));
      const entries = parts.map((resource, binding) => ({ binding, resource }));
      tally.bindGroups++;
      const group = gpu.createBindGroup({ label: checked.launch.label, layout: kernel.layout, entries });
      return { pipeline: kernel.pipeline, group, grid, bytes, workgroupBytes: kernel.workgroupBytes, copies };
    });
    return { dispatches, own, status };
  }

  /** Writes the sizes of all launches into one buffer, equal ones once; returns where a launch finds its own. */
  #makeSizes(own: GPUBuffer[]): (checked: CheckedLaunch) => GPUBufferBinding {
    const wordsOf = ({ launch }: CheckedLaunch): readonly number[] => [...launch.dims, launch.grid];
    const distinct = new Map(this.#checked.map((checked) => [wordsOf(checked).join(), wordsOf(checked)]));
    if (distinct.size === 0) return () => ({ buffer: own[0] as GPUBuffer });
    const alignment = this.#host.gpu.limits.minUniformBufferOffsetAlignment;
    const places = new Map<string, { readonly offset: number; readonly size: number }>();
    let end = 0;
    for (const [key, words] of distinct) {
      const size = roundUp(words.length * 4, 16);
      places.set(key, { offset: end, size });
      end += roundUp(size, alignment);
    }
    const buffer = this.#host.createBuffer({ label: 'sizes', size: end, usage: USAGE.uniform, mappedAtCreation: true });
    own.push(buffer);
    const words = new Int32Array(buffer.getMappedRange());
    for (const [key, values] of distinct) words.set(values, (places.get(key)?.offset ?? 0) / 4);
    buffer.unmap();
    return (checked) => ({ buffer, ...(places.get(wordsOf(checked).join()) as { offset: number; size: number }) });
  }
}
