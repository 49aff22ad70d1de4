/** Memory that kernels on the CPU read and write: outside of V8's heap, with a guard on either side to show stores that miss. */
import { type DeviceBuffer, RuntimeError } from '@espalier/runtime';
import koffi from 'koffi';

/** As on a GPU. */
export const ALIGNMENT = 256;
const GUARD_BYTES = 4096;
const GUARD = 0xa5;
const untouched = new Uint8Array(GUARD_BYTES).fill(GUARD);

/** Throws RuntimeError R020; koffi gives less than 2 GiB at once. */
function allocate(size: number): bigint {
  try {
    return koffi.alloc('uint8_t', size) as bigint;
  } catch (cause) {
    throw new RuntimeError(
      'R020',
      `out of memory: ${size} bytes at once are not to be had here (${(cause as Error).message}); run fewer tokens at once`,
      { cause },
    );
  }
}

/** Aligned bytes between two guards. */
export class HostMemory {
  readonly byteLength: number;
  /** Address of the first byte, a multiple of 256. */
  readonly address: bigint;
  readonly #base: bigint;
  readonly #all: Uint8Array<ArrayBuffer>;
  readonly #first: number;
  #freed = false;

  constructor(byteLength: number) {
    this.byteLength = byteLength;
    const size = byteLength + 2 * GUARD_BYTES + ALIGNMENT;
    this.#base = allocate(size);
    this.#all = new Uint8Array(koffi.view(this.#base, size));
    const alignment = BigInt(ALIGNMENT);
    this.address = ((this.#base + BigInt(GUARD_BYTES) + alignment - 1n) / alignment) * alignment;
    this.#first = Number(this.address - this.#base);
    this.#all.fill(GUARD);
    this.bytes.fill(0);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#freed) throw new RuntimeError('R012', 'this memory was freed');
    return this.#all.subarray(this.#first, this.#first + this.byteLength);
  }

  /** Where a byte outside was changed, relative to the first; null where none was. */
  missed(): number | null {
    for (const start of [this.#first - GUARD_BYTES, this.#first + this.byteLength]) {
      const guard = this.#all.subarray(start, start + GUARD_BYTES);
      if (Buffer.compare(guard, untouched) !== 0) return start - this.#first + guard.findIndex((b) => b !== GUARD);
    }
    return null;
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    koffi.free(this.#base);
  }
}

/** What a buffer needs of its device. */
export interface BufferHost {
  readonly disposed: boolean;
  bufferDisposed(buffer: HostBuffer): void;
}

export class HostBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly label: string;
  readonly memory: HostMemory;
  readonly #host: BufferHost;
  #disposed = false;

  /** The contents are zero. */
  constructor(host: BufferHost, byteLength: number, label: string) {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0)
      throw new RangeError(`buffer ${label} cannot have ${byteLength} bytes; give an integer from 0 on`);
    this.#host = host;
    this.byteLength = byteLength;
    this.label = label;
    this.memory = new HostMemory(byteLength);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  belongsTo(host: BufferHost): boolean {
    return this.#host === host;
  }

  write(data: ArrayBufferView, byteOffset = 0): void {
    this.#check(byteOffset, data.byteLength);
    this.memory.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
  }

  async read(byteOffset = 0, byteLength = this.byteLength - byteOffset): Promise<Uint8Array<ArrayBuffer>> {
    this.#check(byteOffset, byteLength);
    return this.memory.bytes.slice(byteOffset, byteOffset + byteLength);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.memory.free();
    this.#host.bufferDisposed(this);
  }

  #check(byteOffset: number, byteLength: number): void {
    if (this.#disposed) throw new RuntimeError('R012', `buffer ${this.label} was disposed of; create another`);
    if (!(byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength))
      throw new RangeError(
        `bytes ${byteOffset} to ${byteOffset + byteLength} lie outside buffer ${this.label} of ${this.byteLength} bytes`,
      );
  }
}
