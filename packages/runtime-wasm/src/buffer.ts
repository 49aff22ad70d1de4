/** A span of a WASM device's memory. */
import { type DeviceBuffer, RuntimeError } from '@espalier/runtime';
import type { DeviceMemory } from './memory.ts';

/** What a buffer needs of its device. */
export interface BufferHost {
  readonly memory: DeviceMemory;
  readonly disposed: boolean;
  /** Resolves when no run is in progress. */
  readonly idle: Promise<unknown>;
  bufferDisposed(): void;
}

export class WasmBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly label: string;
  /** Byte address in the device's memory, a multiple of 64. */
  readonly address: number;
  readonly #host: BufferHost;
  #disposed = false;

  /** Throws RuntimeError R020. The contents are zero. */
  constructor(host: BufferHost, byteLength: number, label: string) {
    this.#host = host;
    this.byteLength = byteLength;
    this.label = label;
    this.address = host.memory.allocate(byteLength, label);
    host.memory.bytes.fill(0, this.address, this.address + byteLength);
  }

  get disposed(): boolean {
    return this.#disposed || this.#host.disposed;
  }

  /** Whether the buffer lies in the memory of `host`. */
  belongsTo(host: BufferHost): boolean {
    return this.#host === host;
  }

  write(data: ArrayBufferView, byteOffset = 0): void {
    this.#check(byteOffset, data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#host.memory.bytes.set(bytes, this.address + byteOffset);
  }

  async read(byteOffset = 0, byteLength = this.byteLength - byteOffset): Promise<Uint8Array<ArrayBuffer>> {
    this.#check(byteOffset, byteLength);
    await this.#host.idle;
    // A slice is never shared memory.
    return this.view(byteOffset, byteLength).slice() as Uint8Array<ArrayBuffer>;
  }

  view(byteOffset = 0, byteLength = this.byteLength - byteOffset): Uint8Array {
    this.#check(byteOffset, byteLength);
    return this.#host.memory.bytes.subarray(this.address + byteOffset, this.address + byteOffset + byteLength);
  }

  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.#host.memory.release(this.address);
    this.#host.bufferDisposed();
  }

  #check(byteOffset: number, byteLength: number): void {
    if (this.disposed) throw new RuntimeError('R012', `buffer ${this.label} was disposed of; create another`);
    const fits = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength;
    if (!fits)
      throw new RangeError(
        `bytes ${byteOffset} to ${byteOffset + byteLength} lie outside buffer ${this.label} of ${this.byteLength} bytes`,
      );
  }
}
