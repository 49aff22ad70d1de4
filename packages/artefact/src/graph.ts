/**
 * A compiled graph: artefacts, and the steps that apply them to named tensors. Plain JSON but for the artefacts' binaries,
 * so it can be saved and run where no compiler is installed. Weights travel apart, by name.
 */
import type { Artefact } from './manifest.ts';
import type { SizeExpr } from './size-expr.ts';

export interface PlanTensor {
  readonly name: string;
  readonly storage: 'f32' | 'i32';
  readonly shape: readonly SizeExpr[];
}

export interface PlanStep {
  /** E.g. "layers.0.ffn". */
  readonly id: string;
  /** Index into `artefacts`. */
  readonly artefact: number;
  /** The artefact's dims over the graph's: T → ["*", "B", "S"]. */
  readonly dims: Readonly<Record<string, SizeExpr>>;
  /** Inputs and outputs of the artefact → graph tensors (same element count). Unbound outputs are computed into workspace. */
  readonly tensors: Readonly<Record<string, string>>;
  /** Weights of the artefact → names of weights. */
  readonly weights: Readonly<Record<string, string>>;
}

export interface CompiledGraph {
  readonly name: string;
  readonly target: string;
  readonly dims: readonly string[];
  readonly tensors: readonly PlanTensor[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly steps: readonly PlanStep[];
  readonly artefacts: readonly Artefact[];
}
