/**
 * The part of WebAssembly's JavaScript interface that this package uses, typed here because TypeScript keeps it with the
 * browser's types, which a package for Node and browsers alike cannot assume.
 */

/** A compiled module: opaque, and may be posted to workers. */
export type WasmModule = object;

/** A memory; `buffer` is replaced when it grows. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  /** Grows by pages of 64 KiB; returns the old size in pages. Throws RangeError when it can't. */
  grow(pages: number): number;
}

/** A kernel as the artefact's module exports it: begin, end, addresses, dims, scratch, status. */
export type KernelFunction = (...words: number[]) => void;

interface WasmEngine {
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  Module: new (bytes: Uint8Array) => WasmModule;
  Memory: new (limits: { initial: number; maximum: number; shared?: boolean }) => WasmMemory;
  Instance: new (
    module: WasmModule,
    imports: { env?: { memory: WasmMemory } },
  ) => { readonly exports: Record<string, unknown> };
}

/** The engine, looked up at call time so that loading this package needs none. */
export const engine = (): WasmEngine => (globalThis as unknown as { WebAssembly: WasmEngine }).WebAssembly;

/** Bytes of a page of memory. */
export const PAGE = 65536;

/** The kernels of `module`, running on `memory`, in the order of `names`. Throws TypeError naming an export that is missing. */
export function kernelsOf(module: WasmModule, memory: WasmMemory, names: readonly string[]): readonly KernelFunction[] {
  const { exports } = new (engine().Instance)(module, { env: { memory } });
  return names.map((name) => {
    const kernel = exports[name];
    if (typeof kernel !== 'function') throw new TypeError(`the module does not export kernel ${name}`);
    return kernel as KernelFunction;
  });
}
