/**
 * Ways back to the host: staging buffers, reused because memory of a GPU is slow to come and go, and reads that are asked
 * for at the same time travelling together.
 */
import { MAP_READ, roundUp, USAGE } from './gpu.ts';
import type { Host } from './host.ts';

/** A span of a GPU buffer to be copied out: any bytes, aligned or not. */
export interface Span {
  readonly buffer: GPUBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Bytes of free staging buffers that are kept. */
const KEPT = 2 ** 26;

interface Waiting {
  readonly span: Span;
  readonly resolve: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: unknown) => void;
}

/** Where a span lies in a staging buffer. */
interface Staged {
  readonly at: number;
  /** Bytes before the span, because copies start at multiples of 4. */
  readonly skip: number;
  readonly span: Span;
}

/** Spans on their way: `encode` puts the copies behind what the encoder has; `arrive` waits for the bytes. */
export interface Journey {
  encode(encoder: GPUCommandEncoder): void;
  /** Call after submitting. Rejects with RuntimeError R022 or R027. */
  arrive(): Promise<readonly Uint8Array<ArrayBuffer>[]>;
}

export class Staging {
  readonly #host: Host;
  readonly #free: GPUBuffer[] = [];
  #waiting: Waiting[] = [];

  constructor(host: Host) {
    this.#host = host;
    host.beforeQueue = () => this.flush();
  }

  /** Reads `span` as it is now; reads asked for in one go travel together. */
  read(span: Span): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) queueMicrotask(() => this.flush());
      this.#waiting.push({ span, resolve, reject });
    });
  }

  /** Sends off the reads that wait. */
  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    const host = this.#host;
    const work = async (): Promise<void> => {
      const journey = this.journey(waiting.map(({ span }) => span));
      const { error } = host.scoped('a read', () => {
        const encoder = host.gpu.createCommandEncoder();
        journey.encode(encoder);
        host.gpu.queue.submit([encoder.finish()]);
        host.tally.submissions++;
      });
      const results = await journey.arrive();
      const found = await error;
      if (found) throw found;
      for (const [i, { resolve }] of waiting.entries()) resolve(results[i] as Uint8Array<ArrayBuffer>);
    };
    host.track(work()).catch((error) => {
      for (const { reject } of waiting) reject(error);
    });
  }

  /** Prepares to copy `spans` out; the device must be open. */
  journey(spans: readonly Span[]): Journey {
    const host = this.#host;
    let bytes = 0;
    const staged = spans.map((span): Staged => {
      const skip = span.byteOffset % 4;
      const place = { at: bytes, skip, span };
      bytes += span.byteLength === 0 ? 0 : roundUp(skip + span.byteLength, 4);
      return place;
    });
    const staging = bytes === 0 ? undefined : this.#acquire(bytes);
    return {
      encode: (encoder) => {
        if (!staging) return;
        for (const { at, skip, span } of staged)
          if (span.byteLength > 0)
            encoder.copyBufferToBuffer(
              span.buffer,
              span.byteOffset - skip,
              staging,
              at,
              roundUp(skip + span.byteLength, 4),
            );
      },
      arrive: async () => {
        if (!staging) return staged.map(() => new Uint8Array());
        try {
          await host.untilLost(staging.mapAsync(MAP_READ, 0, bytes));
          const mapped = staging.getMappedRange(0, bytes);
          host.tally.readbacks++;
          host.tally.bytesRead += bytes;
          const results = staged.map(
            ({ at, skip, span }) => new Uint8Array(mapped.slice(at + skip, at + skip + span.byteLength)),
          );
          staging.unmap();
          this.#release(staging);
          return results;
        } catch (error) {
          host.destroyBuffer(staging);
          throw await host.explain(error, 'reading from the GPU');
        }
      },
    };
  }

  #acquire(bytes: number): GPUBuffer {
    let best = -1;
    for (const [i, { size }] of this.#free.entries())
      if (size >= bytes && (best < 0 || size < (this.#free[best] as GPUBuffer).size)) best = i;
    const [found] = best < 0 ? [] : this.#free.splice(best, 1);
    if (found) return found;
    // Powers of two, so that a buffer fits the next read of about the size.
    const size = Math.min(2 ** Math.ceil(Math.log2(Math.max(bytes, 4096))), this.#host.gpu.limits.maxBufferSize);
    return this.#host.scopedLater('a staging buffer', () =>
      this.#host.createBuffer({ label: 'staging', size: Math.max(size, bytes), usage: USAGE.mapRead | USAGE.copyDst }),
    );
  }

  #release(buffer: GPUBuffer): void {
    const kept = this.#free.reduce((sum, { size }) => sum + size, 0);
    if (this.#host.disposed || kept + buffer.size > KEPT) this.#host.destroyBuffer(buffer);
    else this.#free.push(buffer);
  }
}
