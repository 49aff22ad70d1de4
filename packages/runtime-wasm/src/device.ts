/**
 * A WASM device: one memory, the kernels loaded on it, and a pool of worker threads where it has more than one thread. With
 * one thread kernels run on the caller, at once.
 */
import { type Artefact, ArtefactError } from '@espalier/artefact';
import {
  checkLaunch,
  type Device,
  type DeviceInfo,
  type DeviceLaunch,
  elementsOf,
  RuntimeError,
} from '@espalier/runtime';
import type { AllocatorStatistics } from './allocator.ts';
import { ALIGNMENT } from './allocator.ts';
import { type BufferHost, WasmBuffer } from './buffer.ts';
import { type KernelFunction, kernelsOf } from './engine.ts';
import type { DeviceMemory } from './memory.ts';
import type { WorkerPool } from './pool.ts';
import { checkLoadable, compileArtefact, refused, WasmProgram } from './program.ts';
import { type CheckedLaunch, type SubmissionHost, WasmSubmission } from './submission.ts';

/** Memory of a device. */
export interface WasmMemoryStatistics extends AllocatorStatistics {
  /** Bytes the memory has grown to; it never shrinks while the device is open. */
  readonly size: number;
}

/** The parts `openWasm` puts together. */
export interface WasmDeviceParts {
  readonly info: DeviceInfo;
  readonly memory: DeviceMemory;
  readonly pool: WorkerPool | undefined;
  readonly minimumWork: number;
}

/** See `Device`. Open one with `openWasm`. */
export class WasmDevice implements Device {
  readonly info: DeviceInfo;
  readonly alignment = ALIGNMENT;
  readonly #memory: DeviceMemory;
  readonly #pool: WorkerPool | undefined;
  readonly #kernels: KernelFunction[] = [];
  readonly #host: SubmissionHost & BufferHost;
  #disposed = false;
  #closed: Promise<void> = Promise.resolve();

  constructor({ info, memory, pool, minimumWork }: WasmDeviceParts) {
    this.info = info;
    this.#memory = memory;
    this.#pool = pool;
    const device = this;
    this.#host = {
      memory,
      pool,
      minimumWork,
      kernels: this.#kernels,
      disposals: 0,
      get disposed() {
        return device.#disposed;
      },
      get idle() {
        return pool ? pool.idle : Promise.resolve();
      },
      bufferDisposed: () => {
        this.#host.disposals++;
      },
    };
  }

  /** What is allocated; zero `used` and `spans` once everything made on the device was disposed of. */
  get statistics(): WasmMemoryStatistics {
    return { ...this.#memory.statistics, size: this.#memory.size };
  }

  /** Resolves when the worker threads have ended, after disposal. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Throws RuntimeError R020 when there is no memory left. The contents are zero. */
  createBuffer(byteLength: number, label: string): WasmBuffer {
    this.#checkOpen();
    return new WasmBuffer(this.#host, byteLength, label);
  }

  /** The elements of a buffer without a copy; valid until the next buffer or submission is made on the device. */
  view<S extends 'f32' | 'i32' | 'f16' | 'i8'>(buffer: WasmBuffer, storage: S): ReturnType<typeof elementsOf<S>> {
    return elementsOf(storage, buffer.view());
  }

  async load(artefact: Artefact): Promise<WasmProgram> {
    this.#checkOpen();
    const binary = checkLoadable(artefact, this.info);
    const wide = this.info.capabilities['simd-256'] === true;
    const module = await compileArtefact(artefact, binary, { shared: this.#memory.shared, wide });
    this.#checkOpen();
    const names = artefact.manifest.launches.map((launch) => launch.kernel);
    const first = this.#kernels.length;
    try {
      this.#kernels.push(...kernelsOf(module, this.#memory.memory, names));
    } catch (cause) {
      throw refused(artefact, cause);
    }
    const complaint = await this.#pool?.load(module, first, names);
    if (complaint !== undefined) throw refused(artefact, new ArtefactError('A010', complaint));
    return new WasmProgram(this.#host, artefact.manifest, first, () => {
      this.#host.disposals++;
      for (let i = 0; i < names.length; i++) delete this.#kernels[first + i];
      // A device that is lost or disposed of has let go of them already.
      if (!this.#disposed) this.#pool?.drop(first, names.length).catch(() => undefined);
    });
  }

  /** Throws RuntimeError R012, R016 (a range outside its buffer, unaligned, or of another device), R020. */
  prepare(launches: readonly DeviceLaunch[]): WasmSubmission {
    this.#checkOpen();
    return new WasmSubmission(
      this.#host,
      launches.map((launch) => this.#checkLaunch(launch)),
    );
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#host.disposals++;
    this.#closed = this.#pool?.end() ?? Promise.resolve();
  }

  /** The same as `[Symbol.dispose]`. */
  dispose(): void {
    this[Symbol.dispose]();
  }

  #checkOpen(): void {
    if (this.#disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
  }

  #checkLaunch(launch: DeviceLaunch): CheckedLaunch {
    const { program, buffers } = checkLaunch(launch, {
      owner: this.#host,
      program: WasmProgram,
      buffer: WasmBuffer,
      alignment: ALIGNMENT,
    });
    const addresses = buffers.map((buffer, i) => buffer.address + (launch.buffers[i]?.byteOffset ?? 0));
    return { launch, program, buffers: [...new Set(buffers)], words: [...addresses, ...launch.dims] };
  }
}
