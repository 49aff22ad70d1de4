/**
 * The manifest of an artefact: all a runtime needs to know about compiled kernels, as plain JSON. Versioned; a runtime
 * refuses a version it does not know.
 */
import type { Layout } from './layout.ts';
import { type DimValues, evaluateSize, type SizeExpr } from './size-expr.ts';

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
  /**
   * Present and true for halves that kernels take to be finite: they would read infinities and NaN as numbers, so a runtime refuses
   * weights that hold any. Absent: every value is read as what it is.
   */
  readonly finite?: boolean;
}

/** One kernel launch of the layer; launches run in order, each sees what the earlier wrote. */
export interface Launch {
  /** Name of the kernel in the source. */
  readonly kernel: string;
  /**
   * Number of independent grid steps. A runtime may split 0 … grid − 1 among threads as it likes; where `workgroup` is
   * given, a step is a workgroup.
   */
  readonly grid: SizeExpr;
  /**
   * The launch is one of several variants of the same work, made for different numbers of rows: it runs only where
   * `from` ≤ size < `below`. For any dims exactly one variant runs. Absent: it always runs.
   */
  readonly when?: LaunchCondition;
  /** Threads of a workgroup, on machines that have them; absent where every grid step is run by one thread. */
  readonly workgroup?: number;
  /** Names of the bindings the kernel takes, in the order of its parameters. */
  readonly bindings: readonly string[];
  /**
   * Bindings that the kernel takes as copies in one buffer, each at the next multiple of 16 bytes, bound after the others: for devices
   * that bind only a few. The copies are made before each launch.
   */
  readonly joined?: readonly string[];
  /** Runtime dims the kernel takes as i32, after the bindings, in order. */
  readonly dims: readonly string[];
  /**
   * Bytes of scratch memory (16-byte aligned), 0 for none: of each concurrently running thread, or, where `workgroup` is
   * given, of each of the `grid` workgroups, one after another in one buffer.
   */
  readonly scratch: SizeExpr;
  /** Present and true when the kernel has checks and so takes the status word, on machines where that is a binding. */
  readonly checks?: boolean;
  /** What the kernel does, for people: source statement and strategy. */
  readonly label: string;
  /** Floating-point operations and least bytes moved of one launch. */
  readonly flops: SizeExpr;
  readonly bytes: SizeExpr;
}

/** The range of a size over the runtime dims, `below` excluded; no `below`: no end. */
export interface LaunchCondition {
  readonly size: SizeExpr;
  readonly from: number;
  readonly below?: number;
}

/** Whether a launch runs at these dims. */
export function runsAt(launch: Pick<Launch, 'when'>, dims: DimValues): boolean {
  if (launch.when === undefined) return true;
  const size = evaluateSize(launch.when.size, dims);
  return size >= launch.when.from && size < (launch.when.below ?? Number.POSITIVE_INFINITY);
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
