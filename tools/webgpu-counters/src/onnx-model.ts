/** ONNX models written by hand: a thin layer over the published schema, in which every operator's result has a name. */
import onnxProto from 'onnx-proto';

/** Standard operators, and ONNX Runtime's own. */
const OPSETS = [
  { domain: '', version: 18 },
  { domain: 'com.microsoft', version: 1 },
];
const IR_VERSION = 8;
const elementTypes = { f32: 1, i32: 6, i64: 7 } as const;
/** `AttributeProto.AttributeType`. */
const FLOAT = 1;
const INT = 2;
const INTS = 7;

/** An attribute: floats are marked, because 1 would pass for an integer. */
export type Attribute = number | readonly number[] | { readonly float: number };

export interface Port {
  readonly name: string;
  readonly storage: 'f32' | 'i32';
  /** Numbers, and names of symbolic dims. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxWriter {
  /** Adds an operator; answers its first result. Inputs may be '' where they are optional. */
  op(type: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  /** Adds an operator of ONNX Runtime's own domain. */
  own(type: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  /** Adds an operator with several results. */
  split(
    type: string,
    inputs: readonly string[],
    results: number,
    attributes: Readonly<Record<string, Attribute>>,
  ): readonly string[];
  floats(data: Float32Array, shape: readonly number[]): string;
  /** Of int64, as shapes and axes are. */
  integers(...values: readonly number[]): string;
  /** Of int32. */
  whole(...values: readonly number[]): string;
  /** The model; `outputs` map the results' names in the model to results. */
  finish(name: string, inputs: readonly Port[], outputs: readonly (Port & { readonly from: string })[]): Uint8Array;
}

const attributeOf = (name: string, value: Attribute) =>
  typeof value === 'number'
    ? { name, type: INT, i: value }
    : 'float' in value
      ? { name, type: FLOAT, f: value.float }
      : { name, type: INTS, ints: [...value] };

const portOf = ({ name, storage, shape }: Port) => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[storage],
      shape: { dim: shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) },
    },
  },
});

/** An empty model. */
export function onnxWriter(): OnnxWriter {
  const nodes: object[] = [];
  const initializers: object[] = [];
  const constants = new Map<string, string>();

  function node(
    domain: string,
    type: string,
    inputs: readonly string[],
    output: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
  ): void {
    nodes.push({
      name: `${type}_${nodes.length}`,
      opType: type,
      domain,
      input: [...inputs],
      output: [...output],
      attribute: Object.entries(attributes).map(([name, value]) => attributeOf(name, value)),
    });
  }

  function constant(
    storage: 'f32' | 'i32' | 'i64',
    shape: readonly number[],
    data: Float32Array | Int32Array | BigInt64Array,
    key?: string,
  ): string {
    const known = key === undefined ? undefined : constants.get(key);
    if (known !== undefined) return known;
    const name = `constant_${initializers.length}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    initializers.push({ name, dataType: elementTypes[storage], dims: [...shape], rawData });
    if (key !== undefined) constants.set(key, name);
    return name;
  }

  const fresh = (): string => `value_${nodes.length}`;
  const adder =
    (domain: string): OnnxWriter['op'] =>
    (type, inputs, attributes = {}) => {
      const result = fresh();
      node(domain, type, inputs, [result], attributes);
      return result;
    };

  return {
    op: adder(''),
    own: adder('com.microsoft'),
    split(type, inputs, results, attributes) {
      const names = Array.from({ length: results }, (_, i) => `${fresh()}_${i}`);
      node('', type, inputs, names, attributes);
      return names;
    },
    floats: (data, shape) => constant('f32', shape, data),
    integers: (...values) =>
      constant('i64', [values.length], BigInt64Array.from(values, BigInt), `i64 ${values.join()}`),
    whole: (...values) => constant('i32', [values.length], Int32Array.from(values), `i32 ${values.join()}`),
    finish(name, inputs, outputs) {
      for (const output of outputs) node('', 'Identity', [output.from], [output.name], {});
      const graph = {
        name,
        node: nodes,
        initializer: initializers,
        input: inputs.map(portOf),
        output: outputs.map(portOf),
      };
      const model = { irVersion: IR_VERSION, producerName: 'espalier', opsetImport: OPSETS, graph };
      return onnxProto.onnx.ModelProto.encode(onnxProto.onnx.ModelProto.create(model)).finish();
    },
  };
}
