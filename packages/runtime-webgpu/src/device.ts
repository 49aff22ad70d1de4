/** A WebGPU device behind the contract every runtime keeps. */
import type { Artefact } from '@espalier/artefact';
import type { Device, DeviceInfo, DeviceLaunch } from '@espalier/runtime';
import { WebGpuBuffer } from './buffer.ts';
import { observe } from './capabilities.ts';
import type { WebGpuCounters } from './counters.ts';
import { Host, type WebGpuLoss } from './host.ts';
import { checkLaunch } from './launch.ts';
import { type Layouts, loadProgram, type WebGpuProgram } from './program.ts';
import { Staging } from './staging.ts';
import { WebGpuSubmission } from './submission.ts';

/** See `Device`. Open one with `openWebGpu`. */
export class WebGpuDevice implements Device, AsyncDisposable {
  readonly info: DeviceInfo;
  readonly alignment: number;
  /** WebGPU's own device, for callers who do more with it. Destroyed on disposal unless it was brought along. */
  readonly gpuDevice: GPUDevice;
  readonly #host: Host;
  readonly #staging: Staging;
  readonly #owned: boolean;
  readonly #layouts: Layouts = new Map();
  #closed: Promise<void> = Promise.resolve();

  constructor(gpu: GPUDevice, owned: boolean, onLost: (loss: WebGpuLoss) => void) {
    this.gpuDevice = gpu;
    this.info = observe(gpu);
    this.alignment = Math.max(16, gpu.limits.minStorageBufferOffsetAlignment);
    this.#owned = owned;
    this.#host = new Host(gpu, owned, onLost);
    this.#staging = new Staging(this.#host);
  }

  /** What was done so far. */
  get counters(): WebGpuCounters {
    return { ...this.#host.tally };
  }

  /** Why the device was lost; undefined while it is not. */
  get loss(): WebGpuLoss | undefined {
    return this.#host.disposed ? undefined : this.#host.loss;
  }

  /** After disposal, resolves when the work under way has ended and all memory is given back. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /**
   * Throws RuntimeError R012, R022, R025 (more than a buffer may have). A GPU that has no memory left says so later: the
   * submission that takes the buffer, or its next read, rejects with R020.
   */
  createBuffer(byteLength: number, label: string): WebGpuBuffer {
    this.#host.checkOpen();
    return new WebGpuBuffer(this.#host, this.#staging, byteLength, label);
  }

  async load(artefact: Artefact): Promise<WebGpuProgram> {
    this.#host.checkOpen();
    return this.#host.track(loadProgram(this.#host, this.info, this.#layouts, artefact));
  }

  /** Throws RuntimeError R012, R016 (resources that do not fit), R022, R025 (more than the device allows). */
  prepare(launches: readonly DeviceLaunch[]): WebGpuSubmission {
    this.#host.checkOpen();
    return new WebGpuSubmission(
      this.#host,
      this.#staging,
      launches.map((launch) => checkLaunch(this.#host, launch)),
    );
  }

  /**
   * Ends the device: at once for callers, for the GPU when the work under way is done (`closed`). Throws RuntimeError R027 for
   * an error that the GPU reported and that no run has thrown.
   */
  [Symbol.dispose](): void {
    if (this.#host.disposed) return;
    this.#host.beforeQueue();
    this.#host.disposed = true;
    this.#closed = this.#host.close(this.#owned);
    if (!this.#host.loss) this.#host.throwErrors();
  }

  /** The same as `[Symbol.dispose]`. */
  dispose(): void {
    this[Symbol.dispose]();
  }

  /** Ends the device and waits until it has ended; rejects as `dispose` throws, errors of the last moment among it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this[Symbol.dispose]();
    } finally {
      await this.#closed;
    }
    if (!this.#host.loss) this.#host.throwErrors();
  }
}
