/**
 * The bytes of an ONNX model. Nothing but the protobuf encoding lives here: the rest of the package builds the plain data
 * below, and `encodeModel` writes it with the published ONNX schema.
 */
import onnxProto from 'onnx-proto';
import { OnnxExportError } from './errors.ts';

/** Element types, with the numbers that `TensorProto.DataType` gives them. */
export const elementTypes = { f32: 1, i8: 3, i32: 6, i64: 7, bool: 9, f16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

/** One operator; each attribute is an integer or a list of integers (the operators used here have no other). */
export interface OnnxNode {
  readonly name: string;
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
}

/** A constant tensor, row-major, little-endian; `bytes` is a view, not a copy. */
export interface OnnxInitializer {
  readonly name: string;
  readonly element: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A model input or output; a size is a number or the text of a symbolic dim. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly element: ElementType;
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

/** Operator set 18: the first in which all reductions take their axes the same way. IR version 8 belongs to it. */
const OPSET = 18;
const IR_VERSION = 8;
/** `AttributeProto.AttributeType`. */
const INT = 2;
const INTS = 7;
/** Protobuf readers refuse messages of 2 GiB and more. */
const LARGEST_MESSAGE = 2 ** 31 - 1;

const valueInfo = ({ name, element, shape }: OnnxValueInfo) => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[element],
      shape: { dim: shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) },
    },
  },
});

/** The model as protobuf bytes. Throws OnnxExportError `too-large` when its weights alone pass what protobuf can hold. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const weightBytes = model.initializers.reduce((sum, initializer) => sum + initializer.bytes.byteLength, 0);
  const tooLarge = (bytes: number): OnnxExportError =>
    new OnnxExportError(
      'too-large',
      `the model ${model.name} holds ${bytes} bytes, and a protobuf message ends at ${LARGEST_MESSAGE}`,
    );
  if (weightBytes > LARGEST_MESSAGE) throw tooLarge(weightBytes);
  const written = onnxProto.onnx.ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: 'espalier',
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name: model.name,
      node: model.nodes.map((node) => ({
        name: node.name,
        opType: node.type,
        input: [...node.inputs],
        output: [node.output],
        attribute: Object.entries(node.attributes).map(([name, value]) =>
          typeof value === 'number' ? { name, type: INT, i: value } : { name, type: INTS, ints: [...value] },
        ),
      })),
      initializer: model.initializers.map((initializer) => ({
        name: initializer.name,
        dataType: elementTypes[initializer.element],
        dims: [...initializer.shape],
        rawData: initializer.bytes,
      })),
      input: model.inputs.map(valueInfo),
      output: model.outputs.map(valueInfo),
    },
  });
  if (written.len > LARGEST_MESSAGE) throw tooLarge(written.len);
  const bytes = written.finish();
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
