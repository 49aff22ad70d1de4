/** Memory of a simulated device, which knows what of it was written. */
import { type StorageType, storageBytes } from '@espalier/artefact';
import type { Bound } from '@espalier/codegen';
import { type BufferRange, type DeviceBuffer, elementsOf, RuntimeError } from '@espalier/runtime';

/** What a buffer needs of its device. */
export interface BufferHost {
  readonly disposed: boolean;
}

/** Every byte of memory that nobody wrote: NaN as f32, −1 as integers. */
const POISON = 0xff;

export class SimulatedBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly label: string;
  readonly #host: BufferHost;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Of each byte; a kernel marks the first byte of an element alone. */
  readonly #written: Uint8Array;
  #disposed = false;

  constructor(host: BufferHost, byteLength: number, label: string) {
    this.#host = host;
    this.byteLength = byteLength;
    this.label = label;
    // Whole words, so that every range has elements of four bytes.
    const room = Math.ceil(byteLength / 4) * 4;
    try {
      this.#bytes = new Uint8Array(room).fill(POISON);
      this.#written = new Uint8Array(room);
    } catch (cause) {
      const message = `no memory for ${byteLength} bytes of ${label}; dispose of what is no longer needed`;
      throw new RuntimeError('R020', message, { cause });
    }
  }

  get disposed(): boolean {
    return this.#disposed || this.#host.disposed;
  }

  /** Whether the buffer is of the device that `host` stands for. */
  belongsTo(host: BufferHost): boolean {
    return this.#host === host;
  }

  write(data: ArrayBufferView, byteOffset = 0): void {
    this.#check(byteOffset, data.byteLength);
    this.#bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
    this.#written.fill(1, byteOffset, byteOffset + data.byteLength);
  }

  async read(byteOffset = 0, byteLength = this.byteLength - byteOffset): Promise<Uint8Array<ArrayBuffer>> {
    this.#check(byteOffset, byteLength);
    return this.#bytes.slice(byteOffset, byteOffset + byteLength);
  }

  /** A range as elements for a kernel. */
  bound(range: BufferRange, storage: StorageType): Bound {
    const stride = storageBytes[storage];
    const end = range.byteOffset + Math.floor(range.byteLength / stride) * stride;
    return {
      storage,
      data: elementsOf(storage, this.#bytes.subarray(range.byteOffset, end)),
      written: this.#written.subarray(range.byteOffset, end),
      stride,
    };
  }

  /** Makes a range memory that nobody wrote. */
  forget({ byteOffset, byteLength }: BufferRange): void {
    this.#bytes.fill(POISON, byteOffset, byteOffset + byteLength);
    this.#written.fill(0, byteOffset, byteOffset + byteLength);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
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
