/**
 * The one memory of a device: allocation, growth, and views that are made again after growth (growing detaches the views
 * of unshared memory, and leaves those of shared memory short).
 */
import { RuntimeError } from '@espalier/runtime';
import { Allocator, type AllocatorStatistics } from './allocator.ts';
import { engine, PAGE, type WasmMemory } from './engine.ts';

/** Most pages a module may ask for: 4 GiB. */
const MOST_PAGES = 65536;
const FIRST_PAGES = 16;

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** A memory of at most `maximum` pages; where the engine won't reserve that much, half, and so on down to 64 MiB. */
function makeMemory(maximum: number, shared: boolean): { readonly memory: WasmMemory; readonly maximum: number } {
  const initial = Math.min(FIRST_PAGES, maximum);
  for (let pages = maximum; ; pages = Math.ceil(pages / 2)) {
    try {
      const memory = new (engine().Memory)({ initial, maximum: pages, ...(shared ? { shared } : {}) });
      return { memory, maximum: pages };
    } catch (cause) {
      // Turned about for what is no number, which halving would never end.
      if (!(pages / 2 >= Math.max(initial, 1024)))
        throw new RuntimeError(
          'R020',
          `the engine reserves no memory of ${megabytes(pages * PAGE)}; dispose of other devices, or give a smaller maximumBytes`,
          { cause },
        );
    }
  }
}

export class DeviceMemory {
  readonly memory: WasmMemory;
  readonly shared: boolean;
  readonly #maximum: number;
  readonly #allocator: Allocator;
  #bytes: Uint8Array;
  #words: Int32Array;

  /** Throws RuntimeError R020 when the engine reserves no memory. */
  constructor(options: { readonly shared: boolean; readonly maximumBytes: number }) {
    const pages = Math.min(MOST_PAGES, Math.max(1, Math.floor(options.maximumBytes / PAGE)));
    const made = makeMemory(pages, options.shared);
    this.memory = made.memory;
    this.shared = options.shared;
    this.#maximum = made.maximum * PAGE;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
    // The first line stays unused, so that no address is 0; so does the last, because the 4 GiB of a full memory end past i32.
    this.#allocator = new Allocator(64, this.memory.buffer.byteLength - 64);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get words(): Int32Array {
    return this.#words;
  }

  /** Bytes the memory has grown to. It never shrinks. */
  get size(): number {
    return this.#bytes.byteLength;
  }

  get statistics(): AllocatorStatistics {
    return this.#allocator.statistics;
  }

  /** The address of `bytes` fresh bytes, at a multiple of 64; contents undefined. Throws RuntimeError R020. */
  allocate(bytes: number, label: string): number {
    const address = this.#allocator.allocate(bytes);
    if (address !== undefined) return address;
    const shortage = this.#allocator.shortage(bytes);
    // Growing by a quarter at least keeps the number of growths, each of which makes new views, logarithmic.
    if (!this.#grow(Math.max(shortage, this.size / 4)) && !this.#grow(shortage)) throw this.#exhausted(bytes, label);
    const grown = this.#allocator.allocate(bytes);
    if (grown === undefined) throw this.#exhausted(bytes, label);
    return grown;
  }

  release(address: number): void {
    this.#allocator.release(address);
  }

  #grow(bytes: number): boolean {
    const pages = Math.ceil(bytes / PAGE);
    if (this.size + pages * PAGE > this.#maximum) return false;
    try {
      this.memory.grow(pages);
    } catch {
      return false;
    }
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
    this.#allocator.extend(this.#bytes.byteLength - 64);
    return true;
  }

  #exhausted(bytes: number, label: string): RuntimeError {
    const { used } = this.#allocator.statistics;
    return new RuntimeError(
      'R020',
      `out of memory: ${label} takes ${megabytes(bytes)}, ${megabytes(used)} of at most ${megabytes(this.#maximum)} are in use; ` +
        'dispose of what is not needed, run fewer tokens at once, or open the device with a larger maximumBytes (at most 4 GiB)',
    );
  }
}
