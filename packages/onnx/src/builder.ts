/**
 * Collects operators and constants. Asking twice for the same operator on the same values gives the same value: layers
 * inline their functions, so `gelu(sum …)` names its sum three times, and every shape is asked for again and again.
 * What no output needs is dropped at the end, with its weights.
 */
import type { WeightTensor } from '@espalier/ir';
import type { OnnxInitializer, OnnxNode } from './proto.ts';

export interface Builder {
  /** Names of the operators added from now on begin with this: the id of a graph node. */
  within(prefix: string): void;
  /** Keeps a name for the caller; null when it is taken. */
  reserve(name: string): string | null;
  /** The value of an operator with one output. */
  op(type: string, inputs: readonly string[], attributes?: OnnxNode['attributes']): string;
  /** A small constant, row-major. */
  constant(element: 'f32' | 'i32' | 'i64' | 'bool', shape: readonly number[], values: readonly number[]): string;
  /** A weight as it is stored; the same weight is stored once. */
  weight(tensor: WeightTensor): string;
  /** Gives a value the reserved name of a model output. */
  name(value: string, output: string): void;
  /** The operators and constants that the named values depend on, in the order in which they were added. */
  finish(outputs: readonly string[]): {
    readonly nodes: readonly OnnxNode[];
    readonly initializers: readonly OnnxInitializer[];
  };
}

function encodeConstant(element: 'f32' | 'i32' | 'i64' | 'bool', values: readonly number[]): Uint8Array {
  const typed =
    element === 'f32'
      ? Float32Array.from(values)
      : element === 'i32'
        ? Int32Array.from(values)
        : element === 'i64'
          ? BigInt64Array.from(values, BigInt)
          : Uint8Array.from(values);
  return new Uint8Array(typed.buffer);
}

/** An empty builder. */
export function createBuilder(): Builder {
  const nodes: OnnxNode[] = [];
  const initializers: OnnxInitializer[] = [];
  const known = new Map<string, string>();
  const weights = new Map<WeightTensor, string>();
  const taken = new Set<string>();
  let prefix = '';

  const unique = (wanted: string): string => {
    let name = wanted;
    for (let n = 1; taken.has(name); n++) name = `${wanted}_${n}`;
    taken.add(name);
    return name;
  };

  const remember = (key: string, make: () => string): string => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const made = make();
    known.set(key, made);
    return made;
  };

  return {
    within(next) {
      prefix = next === '' ? '' : `${next}/`;
    },
    reserve(name) {
      if (taken.has(name)) return null;
      taken.add(name);
      return name;
    },
    op(type, inputs, attributes = {}) {
      return remember(JSON.stringify([type, inputs, attributes]), () => {
        const output = unique(`${prefix}${type}`);
        nodes.push({ name: output, type, inputs, output, attributes });
        return output;
      });
    },
    constant(element, shape, values) {
      // Not JSON: it has no -0, NaN or infinities.
      const text = values.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join();
      return remember(`${element}[${shape.join()}]=${text}`, () => {
        const name = unique(`${element}[${shape.join()}]=${text.slice(0, 40)}`);
        initializers.push({ name, element, shape, bytes: encodeConstant(element, values) });
        return name;
      });
    },
    weight(tensor) {
      const before = weights.get(tensor);
      if (before !== undefined) return before;
      const name = unique(tensor.name);
      const { data, shape, storage } = tensor;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      initializers.push({ name, element: storage, shape, bytes });
      weights.set(tensor, name);
      return name;
    },
    name(value, output) {
      nodes.push({ name: `${output}/Identity`, type: 'Identity', inputs: [value], output, attributes: {} });
    },
    finish(outputs) {
      const needed = new Set(outputs);
      const kept = nodes
        .toReversed()
        .filter((node) => {
          if (!needed.has(node.output)) return false;
          for (const input of node.inputs) needed.add(input);
          return true;
        })
        .reverse();
      return { nodes: kept, initializers: initializers.filter((initializer) => needed.has(initializer.name)) };
    },
  };
}
