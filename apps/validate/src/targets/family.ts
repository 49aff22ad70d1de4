/**
 * What the validator knows of targets: families that open a device by a text and compile for it. A new kind of hardware is
 * one more object of this type; nothing else here names a target.
 */
import type { CompiledGraph } from '@espalier/artefact';
import type { Graph } from '@espalier/ir';
import type { Device } from '@espalier/runtime';

/** A device, with the compiler for it. */
export interface OpenTarget extends Disposable {
  /** As the user wrote it: `wasm:threads=2`. */
  readonly spec: string;
  readonly device: Device;
  readonly threads: number;
  /** Equal keys give equal artefacts, so that devices can share them. */
  readonly compileKey: string;
  /** Capabilities the compiler is told, for the record. */
  readonly capabilities: Readonly<Record<string, boolean | number | string>>;
  compile(graph: Graph): Promise<CompiledGraph>;
}

export interface TargetFamily {
  /** What a spec begins with: `wasm`. */
  readonly name: string;
  /** Specs worth trying on this machine when the user names none. */
  defaults(): readonly string[];
  /** All specs that have a name, for suggestions. */
  readonly known: readonly string[];
  /** Rejects with the runtime's error for an option it doesn't know. */
  open(spec: string): Promise<OpenTarget>;
}
