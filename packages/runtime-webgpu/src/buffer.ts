/** A buffer on the GPU. Its memory is zero at first, at least 16 bytes, and a multiple of 16, so that any kernel may bind it. */
import { type DeviceBuffer, RuntimeError } from '@espalier/runtime';
import { roundUp, USAGE } from './gpu.ts';
import { type Host, overLimit } from './host.ts';
import type { Span, Staging } from './staging.ts';

export class WebGpuBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly label: string;
  /** The memory itself, for callers who bring kernels of their own; destroyed with this object. */
  readonly gpuBuffer: GPUBuffer;
  /** What went wrong making it, known a little later; never rejects. */
  readonly failure: Promise<RuntimeError | undefined>;
  readonly #host: Host;
  readonly #staging: Staging;
  #disposed = false;

  /** Throws RuntimeError R025 for more bytes than the device allows a buffer. */
  constructor(host: Host, staging: Staging, byteLength: number, label: string) {
    const limit = host.gpu.limits.maxBufferSize;
    const size = roundUp(Math.max(byteLength, 16), 16);
    if (size > limit)
      throw overLimit(
        `buffer ${label}`,
        byteLength,
        'maxBufferSize',
        limit,
        'run fewer rows at once, or use smaller weights',
      );
    this.#host = host;
    this.#staging = staging;
    this.byteLength = byteLength;
    this.label = label;
    const { result, error } = host.scoped(`buffer ${label} of ${byteLength} bytes`, () =>
      host.createBuffer({ label, size, usage: USAGE.storage | USAGE.copySrc | USAGE.copyDst }),
    );
    this.gpuBuffer = result;
    this.failure = error;
  }

  get disposed(): boolean {
    return this.#disposed || this.#host.disposed;
  }

  /** Whether the buffer is of the device of `host`. */
  belongsTo(host: Host): boolean {
    return this.#host === host;
  }

  /** See `DeviceBuffer`: whole words, except that a write may end with the buffer. Throws RuntimeError R012 or R022, RangeError. */
  write(data: ArrayBufferView, byteOffset = 0): void {
    const { byteLength } = data;
    this.#check(byteOffset, byteLength);
    if (byteOffset % 4 !== 0 || (byteLength % 4 !== 0 && byteOffset + byteLength !== this.byteLength))
      throw new RangeError(
        `bytes ${byteOffset} to ${byteOffset + byteLength} of buffer ${this.label} are not whole words of 4, ` +
          "which a GPU writes alone; write whole words, or up to the buffer's end",
      );
    if (byteLength === 0) return;
    this.#host.beforeQueue();
    this.#host.tally.bytesWritten += byteLength;
    const { queue } = this.#host.gpu;
    const whole = byteLength - (byteLength % 4);
    const write = (): void => {
      if (whole > 0) queue.writeBuffer(this.gpuBuffer, byteOffset, data.buffer as ArrayBuffer, data.byteOffset, whole);
      if (whole === byteLength) return;
      const tail = new Uint8Array(4);
      tail.set(new Uint8Array(data.buffer, data.byteOffset + whole, byteLength - whole));
      queue.writeBuffer(this.gpuBuffer, byteOffset + whole, tail);
    };
    this.#host.scopedLater(`a write to buffer ${this.label}`, write, this.failure);
  }

  /** Rejects with RangeError, or RuntimeError R012, R020, R022 or R027. */
  async read(byteOffset = 0, byteLength = this.byteLength - byteOffset): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#staging.read(this.span(byteOffset, byteLength));
    const failure = await this.failure;
    if (failure) throw failure;
    return bytes;
  }

  /** A part of the memory, to be read with a run. Throws as `read` rejects. */
  span(byteOffset: number, byteLength: number): Span {
    this.#check(byteOffset, byteLength);
    return { buffer: this.gpuBuffer, byteOffset, byteLength };
  }

  /** Frees the memory, once submitted work that uses it is done. */
  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.#host.disposals++;
    this.#host.beforeQueue();
    this.#host.destroyBuffer(this.gpuBuffer);
  }

  #check(byteOffset: number, byteLength: number): void {
    if (this.#disposed) throw new RuntimeError('R012', `buffer ${this.label} was disposed of; create another`);
    this.#host.checkOpen();
    const fits = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength;
    if (!fits)
      throw new RangeError(
        `bytes ${byteOffset} to ${byteOffset + byteLength} lie outside buffer ${this.label} of ${this.byteLength} bytes`,
      );
  }
}
