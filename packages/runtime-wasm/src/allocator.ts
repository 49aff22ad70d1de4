/**
 * Hands out spans of one growing address range: best fit over a free list sorted by address, neighbours joined when freed.
 * Knows nothing of memory itself, so that it can be tested alone; growing is the caller's.
 */

/** Every span starts at a multiple of this and has a size that is one: a cache line. */
export const ALIGNMENT = 64;

interface Span {
  start: number;
  size: number;
}

export interface AllocatorStatistics {
  /** Bytes handed out, rounding included. */
  readonly used: number;
  /** Bytes of the range that are free. */
  readonly free: number;
  /** Spans handed out. */
  readonly spans: number;
  /** Largest span that fits without growing. */
  readonly largestFree: number;
}

export class Allocator {
  readonly #free: Span[] = [];
  readonly #sizes = new Map<number, number>();
  #used = 0;
  #end: number;

  /** Manages addresses from `start` (rounded up) to `end` (rounded down). */
  constructor(start: number, end: number) {
    const first = Math.ceil(start / ALIGNMENT) * ALIGNMENT;
    this.#end = first;
    this.extend(end);
  }

  /** The first address past the range. */
  get end(): number {
    return this.#end;
  }

  /** Makes the range longer: addresses up to `end` become free. */
  extend(end: number): void {
    const limit = Math.floor(end / ALIGNMENT) * ALIGNMENT;
    if (limit <= this.#end) return;
    this.#release({ start: this.#end, size: limit - this.#end });
    this.#end = limit;
  }

  /** How many bytes the range must be longer for `allocate(bytes)` to succeed; counts free space at its end. */
  shortage(bytes: number): number {
    const last = this.#free.at(-1);
    const tail = last && last.start + last.size === this.#end ? last.size : 0;
    return Math.max(0, roundUp(bytes) - tail);
  }

  /** The address of `bytes` bytes, or undefined when nothing fits. No bytes take a span too, so that addresses stay distinct. */
  allocate(bytes: number): number | undefined {
    const size = roundUp(bytes);
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const span = this.#free[i] as Span;
      if (span.size >= size && (best < 0 || span.size < (this.#free[best] as Span).size)) best = i;
    }
    const span = this.#free[best];
    if (!span) return undefined;
    const { start } = span;
    if (span.size === size) this.#free.splice(best, 1);
    else {
      span.start += size;
      span.size -= size;
    }
    this.#sizes.set(start, size);
    this.#used += size;
    return start;
  }

  /** Takes back what `allocate` gave. Throws RangeError for any other address. */
  release(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new RangeError(`nothing is allocated at ${address}`);
    this.#sizes.delete(address);
    this.#used -= size;
    this.#release({ start: address, size });
  }

  get statistics(): AllocatorStatistics {
    const sizes = this.#free.map((span) => span.size);
    return {
      used: this.#used,
      free: sizes.reduce((a, b) => a + b, 0),
      spans: this.#sizes.size,
      largestFree: Math.max(0, ...sizes),
    };
  }

  #release(span: Span): void {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle] as Span).start < span.start) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const joinsAfter = after !== undefined && span.start + span.size === after.start;
    if (before && before.start + before.size === span.start) {
      before.size += span.size;
      if (joinsAfter) {
        before.size += after.size;
        this.#free.splice(low, 1);
      }
    } else if (joinsAfter) {
      after.start = span.start;
      after.size += span.size;
    } else this.#free.splice(low, 0, span);
  }
}

const roundUp = (bytes: number): number => Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
