/** A CUDA device: its context and stream, the kernels loaded on it, its buffers, and what makes code for it. */
import { type Artefact, ArtefactError, verifyChecksum } from '@espalier/artefact';
import {
  checkLaunch,
  checkRange,
  type Device,
  type DeviceInfo,
  type DeviceLaunch,
  type Ownership,
  RuntimeError,
  wrongSubmission,
} from '@espalier/runtime';
import { type BufferHost, CudaBuffer } from './buffer.ts';
import type { ImageSource } from './compile/image.ts';
import type { Context } from './driver/context.ts';
import type { CheckedLaunch } from './launches.ts';
import { PinnedPool } from './pinned.ts';
import { CudaProgram, checkLoadable, functionsOf, loadModule } from './program.ts';
import { CudaSubmission, type SubmissionHost } from './submission.ts';

/** Buffer ranges start at multiples of this: what cuMemAlloc gives, and enough for any vector load. */
export const ALIGNMENT = 256;

/** The driver takes a grid's x as an unsigned 31-bit number. */
const MOST_BLOCKS = 2 ** 31 - 1;

/** What lives on a device. */
export interface CudaMemoryStatistics {
  /** Bytes of buffers, rounding included. */
  readonly used: number;
  readonly buffers: number;
  readonly programs: number;
  readonly submissions: number;
}

/** The parts `openCuda` puts together. */
export interface CudaDeviceParts {
  readonly info: DeviceInfo;
  readonly context: Context;
  readonly images: ImageSource;
  readonly graphs: boolean | 'auto';
}

/** See `Device`. Open one with `openCuda`. */
export class CudaDevice implements Device {
  readonly info: DeviceInfo;
  readonly alignment = ALIGNMENT;
  readonly #context: Context;
  readonly #images: ImageSource;
  readonly #host: SubmissionHost & BufferHost;
  readonly #buffers = new Set<CudaBuffer>();
  readonly #programs = new Set<CudaProgram>();
  readonly #submissions = new Set<CudaSubmission>();
  #used = 0;
  #disposals = 0;

  constructor({ info, context, images, graphs }: CudaDeviceParts) {
    this.info = info;
    this.#context = context;
    this.#images = images;
    const device = this;
    this.#host = {
      context,
      graphs,
      pinned: new PinnedPool(context),
      get used() {
        return device.#used;
      },
      get disposals() {
        return device.#disposals;
      },
      bufferMade: (buffer) => {
        this.#buffers.add(buffer);
        this.#used += buffer.allocated;
      },
      bufferDisposed: (buffer) => {
        this.#disposals++;
        this.#buffers.delete(buffer);
        this.#used -= buffer.allocated;
      },
      submissionDisposed: (submission) => {
        this.#submissions.delete(submission);
      },
      checkRange: (range) => checkRange(range, this.#own, 'reading after a run', 'a range to be read'),
    };
  }

  /** What is alive; all zero once everything made on the device was disposed of. */
  get statistics(): CudaMemoryStatistics {
    return {
      used: this.#used,
      buffers: this.#buffers.size,
      programs: this.#programs.size,
      submissions: this.#submissions.size,
    };
  }

  /** Why the device answers nothing any more; undefined while it does. */
  get lost(): string | undefined {
    return this.#context.lost;
  }

  /**
   * For other CUDA libraries in this process, such as cuBLASLt: makes the device's context current on this thread and returns the
   * CUstream on which all its work is done. Throws RuntimeError R012, R022.
   */
  enter(): bigint {
    this.#context.checkUsable();
    this.#context.enter();
    return this.#context.stream;
  }

  /** Milliseconds that the device takes for each of `count` calls of `step`, which put work on the stream; nothing else may. */
  async timed(count: number, step: (i: number) => void): Promise<readonly number[]> {
    this.#context.checkUsable();
    return this.#context.during(() => this.#context.timed(count, step));
  }

  /** Throws RuntimeError R012, R020 (with how much memory there is), R022. The contents are zero. */
  createBuffer(byteLength: number, label: string): CudaBuffer {
    this.#context.checkUsable();
    return new CudaBuffer(this.#host, byteLength, label);
  }

  /**
   * Rejects with ArtefactError A002, A007 (checksum), A008, A009, A010 (the log of NVRTC, nvcc or the driver), A013 (nothing here
   * compiles CUDA C), and RuntimeError R012, R020, R022.
   */
  async load(artefact: Artefact): Promise<CudaProgram> {
    const context = this.#context;
    context.checkUsable();
    checkLoadable(artefact, this.info);
    await verifyChecksum(artefact);
    const { manifest } = artefact;
    let image = await this.#images.imageOf(artefact);
    context.checkUsable();
    let module: bigint;
    try {
      module = loadModule(context, manifest, image, String(this.info.capabilities['driver']));
    } catch (error) {
      // What an older driver took may not suit this one: compile anew, once.
      if (!(image.remembered && error instanceof ArtefactError)) throw error;
      image = await this.#images.imageOf(artefact, { afresh: true });
      context.checkUsable();
      module = loadModule(context, manifest, image, String(this.info.capabilities['driver']));
    }
    const unload = (): void =>
      context.free(() => context.release(`unloading ${manifest.name}`, 'cuModuleUnload', module));
    try {
      const functions = functionsOf(context, manifest, module);
      const program = new CudaProgram(this.#host, manifest, { functions, origin: image.origin }, () => {
        this.#disposals++;
        this.#programs.delete(program);
        unload();
      });
      this.#programs.add(program);
      return program;
    } catch (error) {
      unload();
      throw error;
    }
  }

  /** Throws RuntimeError R012, R016 (a range outside its buffer, unaligned, or of another device), R020, R022, R025 (grid too large). */
  prepare(launches: readonly DeviceLaunch[]): CudaSubmission {
    this.#context.checkUsable();
    const checked = launches.filter((launch) => launch.grid !== 0).map((launch) => this.#checkLaunch(launch));
    const submission = new CudaSubmission(this.#host, checked);
    this.#submissions.add(submission);
    return submission;
  }

  /** Frees everything made on the device; what runs is let run to its end first. */
  [Symbol.dispose](): void {
    if (this.#context.closed) return;
    // A stack of what is to be disposed of disposes of all of it, also when one complains.
    using stack = new DisposableStack();
    stack.defer(() => this.#context.close(() => this.#host.pinned.dispose()));
    for (const kept of [...this.#buffers, ...this.#programs, ...this.#submissions]) stack.use(kept);
  }

  /** The same as `[Symbol.dispose]`. */
  dispose(): void {
    this[Symbol.dispose]();
  }

  get #own(): Ownership<CudaProgram, CudaBuffer> {
    return { owner: this.#host, program: CudaProgram, buffer: CudaBuffer, alignment: ALIGNMENT };
  }

  #checkLaunch(launch: DeviceLaunch): CheckedLaunch {
    const { label, grid, dims } = launch;
    const { program, described, buffers } = checkLaunch(launch, this.#own);
    const problem = (what: string): RuntimeError => wrongSubmission(label, what);
    if (!Number.isInteger(grid) || grid < 0) throw problem(`a grid of ${grid} blocks is no grid`);
    if (grid > MOST_BLOCKS)
      throw new RuntimeError(
        'R025',
        `${label}: kernel ${described.kernel} would have ${grid} blocks, a launch has at most ${MOST_BLOCKS}; use smaller inputs`,
      );
    const large = dims.findIndex((dim) => !Number.isInteger(dim) || dim < -(2 ** 31) || dim >= 2 ** 31);
    if (large >= 0) throw problem(`dim ${described.dims[large]} is ${dims[large]}, which is no 32-bit integer`);
    const addresses = buffers.map((buffer, i) => buffer.address + BigInt(launch.buffers[i]?.byteOffset ?? 0));
    return { launch, program, buffers: [...new Set(buffers)], addresses };
  }
}
