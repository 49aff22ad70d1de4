/**
 * Ways back to the host: staging buffers, reused because memory of a GPU is slow to come and go, and reads that are asked
 * for at the same time travelling together.
 */
import type { RuntimeError } from '@espalier/runtime';
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

/** Staging memory with what goes through it. */
interface Load {
  readonly staging: GPUBuffer;
  readonly bytes: number;
  readonly staged: readonly Staged[];
}

/** Spans on their way: `encode` puts the copies behind what the encoder has; `arrive` waits for the bytes. */
export interface Journey {
  encode(encoder: GPUCommandEncoder): void;
  /** What is wrong with the memory they go through; never rejects. */
  readonly failure: Promise<RuntimeError | undefined>;
  /** Call after submitting. Rejects with RuntimeError R020, R022 or R027. */
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
    const failures: Promise<RuntimeError | undefined>[] = [];
    const loads = this.#loadsOf(spans).map(({ bytes, staged }): Load => {
      const { staging, failure } = this.#acquire(bytes);
      if (failure) failures.push(failure);
      return { staging, bytes, staged };
    });
    const failure = Promise.all(failures).then((all) => all.find((found) => found !== undefined));
    const results = new Map<Span, Uint8Array<ArrayBuffer>>();
    return {
      failure,
      encode: (encoder) => {
        for (const { staging, staged } of loads)
          for (const { at, skip, span } of staged)
            encoder.copyBufferToBuffer(
              span.buffer,
              span.byteOffset - skip,
              staging,
              at,
              roundUp(skip + span.byteLength, 4),
            );
      },
      arrive: async () => {
        const arrivals = await Promise.allSettled(loads.map((load) => this.#arrival(load, results)));
        const lost = arrivals.find((arrival) => arrival.status === 'rejected');
        if (lost) throw (await failure) ?? (await host.explain(lost.reason, 'reading from the GPU'));
        return spans.map((span) => results.get(span) ?? new Uint8Array());
      },
    };
  }

  /** Spans in their order, as many together as a buffer holds: of the same device, so each alone fits. */
  #loadsOf(spans: readonly Span[]): readonly { readonly bytes: number; readonly staged: readonly Staged[] }[] {
    const most = this.#host.gpu.limits.maxBufferSize;
    const loads: { bytes: number; readonly staged: Staged[] }[] = [];
    for (const span of spans) {
      if (span.byteLength === 0) continue;
      const skip = span.byteOffset % 4;
      const size = roundUp(skip + span.byteLength, 4);
      let load = loads.at(-1);
      if (!load || load.bytes + size > most) {
        load = { bytes: 0, staged: [] };
        loads.push(load);
      }
      load.staged.push({ at: load.bytes, skip, span });
      load.bytes += size;
    }
    return loads;
  }

  /** Puts what has arrived where the caller finds it. */
  async #arrival({ staging, bytes, staged }: Load, results: Map<Span, Uint8Array<ArrayBuffer>>): Promise<void> {
    const host = this.#host;
    try {
      // Whatever is wrong with the buffer, its making has said; the scope keeps it from being said to everybody.
      const { result } = host.scoped('reading from the GPU', () => staging.mapAsync(MAP_READ, 0, bytes), [
        'validation',
      ]);
      await host.untilLost(result);
      const mapped = staging.getMappedRange(0, bytes);
      host.tally.readbacks++;
      host.tally.bytesRead += bytes;
      for (const { at, skip, span } of staged)
        results.set(span, new Uint8Array(mapped.slice(at + skip, at + skip + span.byteLength)));
      staging.unmap();
      this.#release(staging);
    } catch (error) {
      host.destroyBuffer(staging);
      throw error;
    }
  }

  #acquire(bytes: number): { readonly staging: GPUBuffer; readonly failure?: Promise<RuntimeError | undefined> } {
    let best = -1;
    for (const [i, { size }] of this.#free.entries())
      if (size >= bytes && (best < 0 || size < (this.#free[best] as GPUBuffer).size)) best = i;
    const [found] = best < 0 ? [] : this.#free.splice(best, 1);
    if (found) return { staging: found };
    // Powers of two, so that a buffer fits the next read of about the size.
    const most = this.#host.gpu.limits.maxBufferSize;
    const size = Math.max(bytes, Math.min(2 ** Math.ceil(Math.log2(Math.max(bytes, 4096))), most));
    const { result, error } = this.#host.scoped(`a staging buffer of ${size} bytes`, () =>
      this.#host.createBuffer({ label: 'staging', size, usage: USAGE.mapRead | USAGE.copyDst }),
    );
    return { staging: result, failure: error };
  }

  #release(buffer: GPUBuffer): void {
    const kept = this.#free.reduce((sum, { size }) => sum + size, 0);
    if (this.#host.disposed || kept + buffer.size > KEPT) this.#host.destroyBuffer(buffer);
    else this.#free.push(buffer);
  }
}
