/**
 * The manifest of an artefact: all a runtime needs to know about compiled kernels, as plain JSON. Versioned; a runtime
 * refuses a version it does not know.
 */
import type { Layout } from './layout.ts';
import type { SizeExpr } from './size-expr.ts';

/** Raised when a field changes its meaning. */
export const MANIFEST_VERSION = 1;

export type StorageType = 'f32' | 'f16' | 'i32' | 'i8';

/** Bytes of one element. */
export const storageBytes: Readonly<Record<StorageType, number>> = { f32: 4, f16: 2, i32: 4, i8: 1 };

/** A tensor of the layer that kernels read or write. */
export interface Binding {
  readonly name: string;
  /** `workspace`: between the layer's own kernels; its contents mean nothing outside a run. */
  readonly role: 'input' | 'weight' | 'output' | 'workspace';
  readonly storage: StorageType;
  /** Logical shape over the runtime dims; constant for weights. */
  readonly shape: readonly SizeExpr[];
  /** Physical order; only weights differ from row-major. */
  readonly layout: Layout;
}

/** One kernel launch of the layer; launches run in order, each sees what the earlier wrote. */
export interface Launch {
  /** Name of the kernel in the source. */
  readonly kernel: string;
  /** Number of independent grid steps. A runtime may split 0 … grid − 1 among threads or workgroups as it likes. */
  readonly grid: SizeExpr;
  /** Names of the bindings the kernel takes, in the order of its parameters. */
  readonly bindings: readonly string[];
  /** Runtime dims the kernel takes as i32, after the bindings, in order. */
  readonly dims: readonly string[];
  /** Bytes of private scratch memory each concurrently running thread needs (16-byte aligned); 0 for none. */
  readonly scratch: SizeExpr;
  /** What the kernel does, for people: source statement and strategy. */
  readonly label: string;
  /** Floating-point operations and least bytes moved of one launch. */
  readonly flops: SizeExpr;
  readonly bytes: SizeExpr;
}

/** A failed runtime check: code n in the status word is `faults[n - 1]`. */
export interface Fault {
  /** E.g. "index of table[ids[t], d] along axis 0 lies outside 0 … V - 1". */
  readonly message: string;
  /** Place in the layer's source, "linear.layer:3:21". */
  readonly place: string;
}

export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly name: string;
  readonly target: string;
  /** Version of the generator, e.g. "espalier 0.1.0". */
  readonly generator: string;
  readonly dims: readonly string[];
  readonly fixed: Readonly<Record<string, number | boolean | string>>;
  readonly bindings: readonly Binding[];
  readonly launches: readonly Launch[];
  readonly faults: readonly Fault[];
  /** Capabilities the code needs, by name, e.g. ["simd", "relaxed-simd"]. */
  readonly requires: readonly string[];
  /** Options that outputs depend on, e.g. { fma: true, trace: false }. */
  readonly numerics: Readonly<Record<string, boolean | number | string>>;
  /** Hex SHA-256 of what a runtime loads: the binary where there is one, else the source text (UTF-8). Compared before loading. */
  readonly checksum: string;
}

/** A compiled layer. `binary` is present where the target has one that loads faster than its source (WASM). */
export interface Artefact {
  readonly manifest: Manifest;
  /** Text in the target's own language. */
  readonly source: string;
  readonly binary?: Uint8Array;
}
