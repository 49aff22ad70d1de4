/**
 * The contract a runtime keeps. A runtime author implements `Device`, `DeviceBuffer`, `Program` and `Submission` for one
 * kind of hardware; everything above (layers, graphs, weight packing, memory plans, checks of shapes) is shared code in
 * this package and works on any of them.
 */
import type { Artefact, Manifest } from '@espalier/artefact';

/** What a device is and what was observed of it (not what it claims): names as in `Manifest.requires`, limits, thread count. */
export interface DeviceInfo {
  /** The target whose artefacts it runs, as in `Manifest.target`. */
  readonly target: string;
  /** For people: "wasm, 2 threads, relaxed SIMD". */
  readonly name: string;
  readonly capabilities: Readonly<Record<string, boolean | number | string>>;
  /**
   * How tensors that a graph makes must lie. `arena` (unless told): parts of one buffer. `separate`: each in a buffer that no
   * tensor alive at the same time shares, for machines that can't bind a buffer both to be read and to be written.
   */
  readonly placement?: Placement;
}

/** See `DeviceInfo.placement`. */
export type Placement = 'arena' | 'separate';

/** Memory of a device. Disposing frees it; using it afterwards throws. */
export interface DeviceBuffer extends Disposable {
  readonly byteLength: number;
  readonly label: string;
  /**
   * Copies in. Throws RangeError when it does not fit, or where a device copies whole words only: `byteOffset` and the number
   * of bytes must then be multiples of 4, except that a write may end with the buffer.
   */
  write(data: ArrayBufferView, byteOffset?: number): void;
  /** Copies out what earlier submissions left. */
  read(byteOffset?: number, byteLength?: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The memory itself, without a copy, where the host can address it; absent elsewhere. Valid until the next buffer is
   * created or submission prepared on the device: where the memory moves then, earlier views are detached (of length 0), and
   * else stay good. Only to be read or written between runs.
   */
  view?(byteOffset?: number, byteLength?: number): Uint8Array;
}

/** A part of a buffer. `byteOffset` is a multiple of `Device.alignment`. */
export interface BufferRange {
  readonly buffer: DeviceBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A loaded artefact. */
export interface Program extends Disposable {
  readonly manifest: Manifest;
}

/** One kernel launch with everything bound and every size a number. */
export interface DeviceLaunch {
  readonly program: Program;
  /** Index into `program.manifest.launches`. */
  readonly launch: number;
  readonly grid: number;
  /** Bytes of scratch, of each thread or of each workgroup, as `Launch.scratch` says. */
  readonly scratch: number;
  /** In the order of the launch's `bindings`. */
  readonly buffers: readonly BufferRange[];
  /** In the order of the launch's `dims`. */
  readonly dims: readonly number[];
  /** The larger of the launch's floating-point operations and bytes moved: tells a device whether splitting it pays. */
  readonly work: number;
  /** Where it belongs, for errors: "layers.0.ffn". */
  readonly label: string;
}

/** A list of launches made ready to run many times. Runs never overlap: a run started before the last has ended throws. */
export interface Submission extends Disposable {
  /**
   * Runs all launches in order. Rejects with `FaultError` when a kernel's check failed (outputs are then undefined), and with
   * `RuntimeError` R012 (disposed), R013 (overlapping run), R021 (a kernel trapped) or R022 (device lost).
   */
  run(): Promise<void>;
  /**
   * Runs all launches on the calling thread and returns when they are done, with the same results as `run`, bit for bit. Throws
   * what `run` rejects with. Takes little time besides the kernels and makes no garbage. Absent where a device cannot.
   */
  runSync?(): void;
  /**
   * Runs as `run` does and copies out `ranges` of the buffers as the launches left them, in their order; for devices where
   * reading afterwards would be one more journey. Rejects as `run` does.
   */
  runAndRead?(ranges: readonly BufferRange[]): Promise<readonly Uint8Array<ArrayBuffer>[]>;
  /**
   * For devices that allocate behind the caller's back: resolves when everything the submission takes exists. Rejects with
   * RuntimeError R020 where memory ran out; the submission is then good for nothing.
   */
  readonly ready?: Promise<void>;
}

export interface Device extends Disposable {
  readonly info: DeviceInfo;
  /** Byte alignment of buffer ranges, a power of two. */
  readonly alignment: number;
  createBuffer(byteLength: number, label: string): DeviceBuffer;
  /**
   * Compiles and checks an artefact. Rejects with `ArtefactError`: another target or manifest version, checksum that does
   * not match, a capability the device lacks, or code the device refuses (with the engine's message).
   */
  load(artefact: Artefact): Promise<Program>;
  prepare(launches: readonly DeviceLaunch[]): Submission;
}
