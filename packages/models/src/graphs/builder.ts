/**
 * Builds a `Graph` node by node from layers of the standard library.
 *
 * The builder knows three things so that a family need not: equal specialisations of a layer become one object (so that
 * each is compiled once), a node's outputs are declared where the node is added, and weights are promised by name and
 * delivered when the graph is finished: only then are layers specialised, so that a checkpoint is checked as a whole before
 * sizes from its config.json are believed.
 */
import {
  type Graph,
  type GraphNode,
  type GraphTensor,
  type LayerIR,
  type Size,
  Sizes,
  standardLayer,
  type WeightTensor,
} from '@espalier/ir';

/** Batch, sequence length, and their product: the token count that most layers run over. */
export const B: Size = Sizes.dim('B');
export const S: Size = Sizes.dim('S');
export const TOKENS: Size = Sizes.multiply(B, S);

/** The value of a layer's option: a number, a flag, or the name of a scalar function of the language. */
export type OptionValue = number | boolean | string;

/** Which specialisation of a layer: what stays out of it is a runtime dim or keeps its default. */
export interface LayerChoice {
  /** A layer of the standard library by name, or one of the caller's own. */
  readonly layer: string | LayerMaker;
  /** Compile-time dims. */
  readonly fixed: Readonly<Record<string, number>>;
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** Weights replaced by their default, e.g. biases that the checkpoint doesn't have. */
  readonly without?: readonly string[];
}

/** A layer that is not in the standard library: its name (unique) and how it is specialised. */
export interface LayerMaker {
  readonly name: string;
  make(dims: Readonly<Record<string, number>>, options: Readonly<Record<string, OptionValue>>): LayerIR;
}

/** One application of a layer. */
export interface NodeSpec extends LayerChoice {
  /** Unique in the graph, e.g. "layers.0.ffn". */
  readonly id: string;
  /** The layer's runtime dims as sizes over the graph's. */
  readonly dims: Readonly<Record<string, Size>>;
  /** The layer's inputs → graph tensors that exist already. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The layer's weights → names of weights, taken or promised. */
  readonly weights?: Readonly<Record<string, string>>;
  /** The layer's output `y` → the name and shape of the tensor it makes. */
  readonly output: MadeTensor;
  /** Its other outputs, where they are wanted. */
  readonly others?: Readonly<Record<string, MadeTensor>>;
}

/** A tensor that a node makes. */
export interface MadeTensor {
  readonly name: string;
  readonly shape: readonly Size[];
}

/** See the functions for what each promises. */
export interface GraphBuilder {
  /** Declares an input; answers its name. */
  input(name: string, storage: 'f32' | 'i32', shape: readonly Size[]): string;
  /** Adds a node; answers the name of the tensor that its output `y` makes. Throws RangeError for a name used twice or an input nobody made. */
  node(spec: NodeSpec): string;
  /** The graph. Keeps those of `weights` that a node uses. Throws RangeError for an output or weight that is not there. */
  finish(outputs: readonly string[], weights: ReadonlyMap<string, WeightTensor>): Graph;
}

/**
 * An empty graph.
 *
 * @param dims runtime dims, e.g. ["B", "S"]
 */
export function graphBuilder(name: string, dims: readonly string[]): GraphBuilder {
  const tensors = new Map<string, GraphTensor>();
  const inputs: string[] = [];
  const specs = new Map<string, NodeSpec>();
  const layers = new Map<string, LayerIR>();

  function declare(tensor: GraphTensor): void {
    if (tensors.has(tensor.name)) throw new RangeError(`graph ${name}: two tensors are named ${tensor.name}`);
    tensors.set(tensor.name, tensor);
  }

  function specialised(choice: LayerChoice): LayerIR {
    const { layer, fixed, options = {}, without = [] } = choice;
    const label = typeof layer === 'string' ? layer : `own ${layer.name}`;
    const key = JSON.stringify([label, sorted(fixed), sorted(options), [...without].sort()]);
    const known = layers.get(key);
    if (known !== undefined) return known;
    const made =
      typeof layer === 'string' ? standardLayer(layer, { dims: fixed, options, without }) : layer.make(fixed, options);
    layers.set(key, made);
    return made;
  }

  function nodeOf(spec: NodeSpec): GraphNode {
    const layer = specialised(spec);
    const needed = new Set(layer.tensors.map((tensor) => tensor.name));
    return {
      id: spec.id,
      layer,
      dims: new Map(Object.entries(spec.dims)),
      tensors: new Map([
        ...Object.entries(spec.inputs),
        ['y', spec.output.name],
        ...Object.entries(spec.others ?? {}).map(([output, { name: tensor }]) => [output, tensor] as const),
      ]),
      // A specialisation drops what it doesn't use: a tree of depth 0 with leaf networks has no deciding node.
      weights: new Map(Object.entries(spec.weights ?? {}).filter(([weight]) => needed.has(weight))),
    };
  }

  return {
    input(tensor, storage, shape) {
      declare({ name: tensor, storage, shape });
      inputs.push(tensor);
      return tensor;
    },
    node(spec) {
      for (const tensor of Object.values(spec.inputs)) {
        if (!tensors.has(tensor))
          throw new RangeError(`graph ${name}: node ${spec.id} reads ${tensor}, which nobody made`);
      }
      if (specs.has(spec.id)) throw new RangeError(`graph ${name}: two nodes are named ${spec.id}`);
      for (const { name: made, shape } of [spec.output, ...Object.values(spec.others ?? {})])
        declare({ name: made, storage: 'f32', shape });
      specs.set(spec.id, spec);
      return spec.output.name;
    },
    finish(outputs, weights) {
      const missing = outputs.find((output) => !tensors.has(output));
      if (missing !== undefined) throw new RangeError(`graph ${name}: output ${missing} is made by no node`);
      const used = new Map<string, WeightTensor>();
      const nodes = [...specs.values()].map(nodeOf);
      for (const node of nodes) {
        for (const weight of node.weights.values()) {
          const found = weights.get(weight);
          if (found === undefined)
            throw new RangeError(`graph ${name}: node ${node.id} uses weight ${weight}, which is not there`);
          used.set(weight, found);
        }
      }
      return { name, dims, tensors, inputs, outputs, nodes, weights: used };
    },
  };
}

function sorted(record: Readonly<Record<string, OptionValue>>): readonly (readonly [string, OptionValue])[] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
