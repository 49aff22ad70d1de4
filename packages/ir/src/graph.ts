/**
 * A graph: layers applied one after another to named tensors, with weights. It is what a checkpoint becomes, what the
 * compiler turns into an execution plan, what the interpreter runs in float64, and what is exported to ONNX.
 */
import type { LayerIR, StorageType } from './layer-ir.ts';
import type { Size } from './size.ts';

export interface GraphTensor {
  readonly name: string;
  readonly storage: 'f32' | 'i32';
  /** Sizes over the graph's dims. */
  readonly shape: readonly Size[];
}

/** Weight data, row-major. f16 is held as its bit patterns (Uint16Array). */
export interface WeightTensor {
  readonly name: string;
  readonly storage: StorageType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint16Array | Int8Array;
}

export interface GraphNode {
  /** Unique in the graph, e.g. "layers.0.ffn". */
  readonly id: string;
  /** Nodes of equal layers share one object, so that each is compiled once. */
  readonly layer: LayerIR;
  /** Each runtime dim of the layer as a size over the graph's dims: T → B*S. */
  readonly dims: ReadonlyMap<string, Size>;
  /**
   * The layer's inputs and outputs → graph tensors. A graph tensor may be bound under another shape of the same element
   * count (a view, e.g. [B, S, D] as [T, D] with T = B*S), and must have the same storage. An output that isn't bound is not wanted.
   */
  readonly tensors: ReadonlyMap<string, string>;
  /** The layer's weights → names in `Graph.weights` of exactly that shape. */
  readonly weights: ReadonlyMap<string, string>;
}

export interface Graph {
  readonly name: string;
  /** Runtime dims, e.g. ["B", "S"]. */
  readonly dims: readonly string[];
  /** All tensors: inputs, intermediates, outputs. Each but the inputs is written by exactly one node. */
  readonly tensors: ReadonlyMap<string, GraphTensor>;
  readonly inputs: readonly string[];
  /** Tensors a user wants back, in order. */
  readonly outputs: readonly string[];
  /** In an order in which they can run. */
  readonly nodes: readonly GraphNode[];
  readonly weights: ReadonlyMap<string, WeightTensor>;
}
