/**
 * The device that checks CUDA C without a GPU: kernels are compiled for the CPU as they are and run a block at a time, the
 * threads of a block taking turns at barriers and shuffles. Slow, exact about what a GPU would only do wrong now and then.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Artefact, verifyChecksum } from '@espalier/artefact';
import { checkLaunch, type Device, type DeviceInfo, type DeviceLaunch, RuntimeError } from '@espalier/runtime';
import { checkLoadable } from '../program.ts';
import { ALIGNMENT, HostBuffer } from './buffer.ts';
import { compileForHost, hostCompiler, noFolder } from './compile.ts';
import { HostProgram } from './program.ts';
import { HostSubmission } from './submission.ts';

export interface HostCudaOptions {
  /** Path of g++; the one on the PATH unless told. */
  readonly compiler?: string;
}

/** Opens the device. Rejects with RuntimeError R026 where there is no g++, no folder to compile in, or the machine is of another kind. */
export async function openHostCuda(options: HostCudaOptions = {}): Promise<HostCudaDevice> {
  const compiler = options.compiler ?? 'g++';
  return new HostCudaDevice(compiler, await hostCompiler(compiler));
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'espalier-cuda-host-'));
  } catch (cause) {
    throw noFolder(cause);
  }
}

/** See `Device`. Open one with `openHostCuda`. */
export class HostCudaDevice implements Device {
  readonly info: DeviceInfo;
  readonly alignment = ALIGNMENT;
  readonly #compiler: string;
  readonly #folder = makeFolder();
  /** Libraries by checksum: the same source is compiled once. */
  readonly #libraries = new Map<string, Promise<string>>();
  readonly #alive = new Set<Disposable>();
  readonly #host: ConstructorParameters<typeof HostBuffer>[0] & ConstructorParameters<typeof HostSubmission>[0];
  #disposed = false;

  constructor(compiler: string, version: string) {
    this.#compiler = compiler;
    this.info = {
      target: 'cuda',
      name: `CUDA C on the CPU, ${version}`,
      capabilities: { sm: 120, 'tensor-cores': true, host: true },
    };
    const device = this;
    this.#host = {
      get disposed() {
        return device.#disposed;
      },
      bufferDisposed: (buffer) => this.#alive.delete(buffer),
      submissionDisposed: (submission) => this.#alive.delete(submission),
    };
  }

  /** Buffers, programs and submissions that were not disposed of. */
  get alive(): number {
    return this.#alive.size;
  }

  createBuffer(byteLength: number, label: string): HostBuffer {
    this.#checkOpen();
    return this.#keep(new HostBuffer(this.#host, byteLength, label));
  }

  /** Rejects with ArtefactError A002, A007 to A010 and RuntimeError R012. */
  async load(artefact: Artefact): Promise<HostProgram> {
    this.#checkOpen();
    checkLoadable(artefact, this.info);
    await verifyChecksum(artefact);
    const { manifest } = artefact;
    const library = this.#libraries.get(manifest.checksum) ?? compileForHost(this.#compiler, artefact, this.#folder);
    this.#libraries.set(manifest.checksum, library);
    // What failed may do so for want of room or memory, and is tried again.
    const path = await library.catch((error: unknown) => {
      this.#libraries.delete(manifest.checksum);
      throw error;
    });
    this.#checkOpen();
    return this.#keep(new HostProgram(this.#host, manifest, path, (program) => this.#alive.delete(program)));
  }

  /** Throws RuntimeError R012, R016 (a range outside its buffer, unaligned, or of another device). */
  prepare(launches: readonly DeviceLaunch[]): HostSubmission {
    this.#checkOpen();
    const own = { owner: this.#host, program: HostProgram, buffer: HostBuffer, alignment: ALIGNMENT };
    const checked = launches
      .filter((launch) => launch.grid !== 0)
      .map((launch) => ({ launch, ...checkLaunch(launch, own) }));
    return this.#keep(new HostSubmission(this.#host, checked));
  }

  /** Frees everything made on the device, and its folder. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const kept of [...this.#alive].reverse()) kept[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #keep<T extends Disposable>(made: T): T {
    this.#alive.add(made);
    return made;
  }

  #checkOpen(): void {
    if (this.#disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
  }
}
