/**
 * What the validator knows of targets: families that open a machine by a text and compile for it. A new kind of hardware is
 * one more object of this type; nothing else here names a target.
 */
import type { CompiledGraph } from '@espalier/artefact';
import type { Graph } from '@espalier/ir';
import type { Device, DeviceInfo, GraphRun, OutputTensor, WeightTensor } from '@espalier/runtime';
import type { Strictness } from '../compare/tolerance.ts';

/** A graph on a machine, wherever that is: in this process, or in a page of a browser. */
export interface LoadedGraph extends Disposable {
  run(call: GraphRun): Promise<ReadonlyMap<string, OutputTensor>>;
  /** Bytes on the device. */
  readonly memory: { readonly weights: number; readonly arenas: number };
}

export interface LoadOptions {
  /** Fresh memory is all NaN, so that what a kernel forgets to write is seen. */
  readonly poison: boolean;
  /** Sets of dims that stay prepared, as in `GraphOptions`. */
  readonly prepared?: number;
}

/** A device that this process can't reach itself, in a page of a browser: whole graphs are sent to it. */
export interface DeviceElsewhere extends Disposable {
  readonly info: DeviceInfo;
  loadGraph(
    compiled: CompiledGraph,
    weights: ReadonlyMap<string, WeightTensor>,
    options: LoadOptions,
  ): Promise<LoadedGraph>;
}

/** A machine, with the compiler for it. */
export interface OpenTarget extends Disposable {
  /** As the user wrote it: `wasm:threads=2`. */
  readonly spec: string;
  readonly device: Device | DeviceElsewhere;
  readonly threads: number;
  /** Equal keys give equal artefacts, so that devices can share them. */
  readonly compileKey: string;
  /** Capabilities the compiler is told, for the record. */
  readonly capabilities: Readonly<Record<string, boolean | number | string>>;
  /** How far its values may be from a reference; `strict` unless told. */
  readonly strictness?: Strictness;
  /** Most operations (see cases/work.ts) of a case that it runs, for machines that are slow on purpose; no limit unless told. */
  readonly most?: number;
  /** `false`: its times say nothing, so none are taken. */
  readonly timed?: boolean;
  /** `false`: its memory is not poisoned, because the device itself notices what was never written. */
  readonly poisoned?: boolean;
  compile(graph: Graph): Promise<CompiledGraph>;
}

export interface TargetFamily {
  /** What a spec begins with: `wasm`. */
  readonly name: string;
  /** Specs worth trying on this machine when the user names none. */
  defaults(): readonly string[];
  /** Specs that `all` stands for, whether or not this machine has what they need; the defaults unless told. */
  all?(): readonly string[];
  /** All specs that have a name, for suggestions. */
  readonly known: readonly string[];
  /**
   * Rejects with RuntimeError R026 where the machine lacks what it needs, and with the runtime's error for an option it doesn't
   * know.
   */
  open(spec: string): Promise<OpenTarget>;
}
