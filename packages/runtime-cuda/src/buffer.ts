/** Memory of a CUDA device. */
import { type DeviceBuffer, RuntimeError } from '@espalier/runtime';
import { RESULT } from './driver/calls.ts';
import type { Context } from './driver/context.ts';
import { BLOCK_BYTES, type PinnedPool } from './pinned.ts';

/** What a buffer needs of its device. */
export interface BufferHost {
  readonly context: Context;
  readonly pinned: PinnedPool;
  /** Bytes handed out. */
  readonly used: number;
  bufferMade(buffer: CudaBuffer): void;
  bufferDisposed(buffer: CudaBuffer): void;
}

/** Least bytes of an allocation: kernels may read 16 at a time, and no bytes have an address too. */
const LEAST = 16;

const amount = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`;

export class CudaBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly label: string;
  /** Address on the device, a multiple of 256. */
  readonly address: bigint;
  /** Bytes taken on the device. */
  readonly allocated: number;
  readonly #host: BufferHost;
  #disposed = false;

  /** Throws RuntimeError R020 with how much there is. The contents are zero. */
  constructor(host: BufferHost, byteLength: number, label: string) {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0)
      throw new RangeError(`buffer ${label} cannot have ${byteLength} bytes; give an integer from 0 on`);
    this.#host = host;
    this.byteLength = byteLength;
    this.label = label;
    this.allocated = Math.max(LEAST, Math.ceil(byteLength / LEAST) * LEAST);
    this.address = allocate(host, this.allocated, label);
    host.bufferMade(this);
    try {
      this.fill(0);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get disposed(): boolean {
    return this.#disposed || this.#host.context.closed;
  }

  /** Whether the buffer lies in the memory of `host`. */
  belongsTo(host: BufferHost): boolean {
    return this.#host === host;
  }

  /** Sets every byte, in order with what else is asked of the device: 0 to clear, 0xff to poison floats with NaN. */
  fill(byte: number): void {
    this.#check(0, 0);
    const { context } = this.#host;
    const purpose = { what: `filling buffer ${this.label}` };
    context.call(purpose, 'cuMemsetD8Async', this.address, byte & 0xff, this.allocated, context.stream);
  }

  write(data: ArrayBufferView, byteOffset = 0): void {
    this.#check(byteOffset, data.byteLength);
    const { context, pinned } = this.#host;
    const what = `writing ${data.byteLength} bytes to buffer ${this.label}`;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const part = bytes.subarray(at, at + BLOCK_BYTES);
      const block = pinned.take(what);
      try {
        block.bytes.set(part);
        const target = this.address + BigInt(byteOffset + at);
        context.call({ what }, 'cuMemcpyHtoDAsync_v2', target, block.address, part.length, context.stream);
        context.record(block.event, what);
      } finally {
        pinned.give(block);
      }
    }
  }

  async read(byteOffset = 0, byteLength = this.byteLength - byteOffset): Promise<Uint8Array<ArrayBuffer>> {
    this.#check(byteOffset, byteLength);
    const { context, pinned } = this.#host;
    const what = `reading ${byteLength} bytes of buffer ${this.label}`;
    const copy = new Uint8Array(byteLength);
    await context.during(async () => {
      for (let at = 0; at < byteLength; at += BLOCK_BYTES) {
        const length = Math.min(BLOCK_BYTES, byteLength - at);
        const block = pinned.take(what);
        try {
          const source = this.address + BigInt(byteOffset + at);
          context.call({ what }, 'cuMemcpyDtoHAsync_v2', block.address, source, length, context.stream);
          context.record(block.event, what);
          await context.settle(block.event, { what });
          copy.set(block.bytes.subarray(0, length), at);
        } finally {
          pinned.give(block);
        }
      }
    });
    return copy;
  }

  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.#host.bufferDisposed(this);
    const { context } = this.#host;
    context.free(() => context.release(`freeing buffer ${this.label}`, 'cuMemFree_v2', this.address));
  }

  #check(byteOffset: number, byteLength: number): void {
    if (this.disposed) throw new RuntimeError('R012', `buffer ${this.label} was disposed of; create another`);
    this.#host.context.checkUsable();
    const fits = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength;
    if (!fits)
      throw new RangeError(
        `bytes ${byteOffset} to ${byteOffset + byteLength} lie outside buffer ${this.label} of ${this.byteLength} bytes`,
      );
  }
}

/** `bytes` of device memory. Throws RuntimeError R020 with how much was asked for, is free, and is held here. */
export function allocate(host: Pick<BufferHost, 'context' | 'used'>, bytes: number, label: string): bigint {
  const { context } = host;
  const out = new BigUint64Array(1);
  const result = context.attempt('cuMemAlloc_v2', out, bytes);
  if (result === RESULT.success) return out[0] as bigint;
  if (result !== RESULT.outOfMemory)
    throw context.failure('cuMemAlloc_v2', result, { what: `${label}: ${bytes} bytes` });
  const free = new BigUint64Array(1);
  const total = new BigUint64Array(1);
  const known = context.attempt('cuMemGetInfo_v2', free, total) === RESULT.success;
  const state = known ? `${amount(Number(free[0]))} of ${amount(Number(total[0]))} are free, ` : '';
  throw new RuntimeError(
    'R020',
    `${label} needs ${amount(bytes)} (${bytes} bytes) on device ${context.ordinal}; ${state}${amount(host.used)} are held by this device's ` +
      'buffers; dispose of what is not needed, use smaller inputs, or end other processes on the GPU',
  );
}
