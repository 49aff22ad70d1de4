/**
 * Repro files: one layer, its weights and inputs, the right answer and the target that got it wrong, in one file.
 *
 * The file is safetensors (any reader of that format opens it) whose metadata holds the rest as JSON: the checked Layer IR,
 * so that the very layer comes back whatever made it, and its text for people.
 */
import { readFile } from 'node:fs/promises';
import type { LayerIR, StorageType, WeightTensor } from '@espalier/ir';
import { type Dtype, readSafetensors, type TensorData, toFloat64, toInt32, writeSafetensors } from '@espalier/models';
import { UsageError } from '../errors.ts';
import type { Numbers } from '../numbers.ts';

const FORMAT = 'espalier-repro';
const VERSION = 1;

/** A layer that departs on a target. */
export interface Repro {
  readonly layer: LayerIR;
  /** Values of the layer's runtime dims. */
  readonly dims: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>;
  readonly weights: Readonly<Record<string, WeightTensor>>;
  /** The interpreter's outputs in float64, by the layer's names, and how far a float32 result may be off. */
  readonly expected: Readonly<Record<string, { readonly values: Numbers; readonly allowed: number }>>;
  /** Where it comes from. */
  readonly target: string;
  readonly checkpoint: string;
  readonly case: string;
  readonly node: string;
  readonly message: string;
}

type Head = Omit<Repro, 'inputs' | 'weights' | 'expected'> & {
  readonly version: number;
  readonly allowed: Readonly<Record<string, number>>;
  readonly storage: Readonly<Record<string, StorageType>>;
};

const dtypes: Readonly<Record<StorageType, Dtype>> = { f32: 'F32', f16: 'F16', i32: 'I32', i8: 'I8' };

/** JSON has no NaN and no infinities; a layer may hold them as literals. */
const keepNumbers = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? { '#number': String(value) } : value;
const restoreNumbers = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && '#number' in value ? Number(value['#number']) : value;

/** The bytes of a repro file; the same for the same repro. */
export function writeRepro(repro: Repro): Uint8Array<ArrayBuffer> {
  const { inputs, weights, expected, ...rest } = repro;
  const shapes = new Map(repro.layer.tensors.map((decl) => [decl.name, decl]));
  const tensors: TensorData[] = [];
  for (const [name, data] of Object.entries(inputs))
    tensors.push({
      name: `input.${name}`,
      dtype: data instanceof Int32Array ? 'I32' : 'F32',
      shape: [data.length],
      data,
    });
  for (const [name, weight] of Object.entries(weights))
    tensors.push({ name: `weight.${name}`, dtype: dtypes[weight.storage], shape: weight.shape, data: weight.data });
  for (const [name, { values }] of Object.entries(expected)) {
    const integer = shapes.get(name)?.storage === 'i32';
    const data = integer ? Int32Array.from(values) : Float64Array.from(values);
    tensors.push({ name: `expected.${name}`, dtype: integer ? 'I32' : 'F64', shape: [data.length], data });
  }
  const head: Head = {
    version: VERSION,
    ...rest,
    allowed: Object.fromEntries(Object.entries(expected).map(([name, { allowed }]) => [name, allowed])),
    storage: Object.fromEntries(Object.entries(weights).map(([name, { storage }]) => [name, storage])),
  };
  const text = repro.layer.sources.map((source) => source.text).join('\n');
  return writeSafetensors(tensors, { [FORMAT]: JSON.stringify(head, keepNumbers), layer: text });
}

/** Reads a repro file. Throws UsageError V005 for what is none. */
export async function readRepro(path: string): Promise<Repro> {
  const refuse = (detail: string, cause?: unknown): UsageError =>
    new UsageError('V005', `${path}: ${detail}`, 'Name a file that an earlier validation wrote (*.espalier-repro).', {
      cause,
    });
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw refuse(`cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  });
  let head: Head;
  let file: ReturnType<typeof readSafetensors>;
  try {
    file = readSafetensors(bytes, path);
    head = JSON.parse(file.metadata[FORMAT] ?? 'null', restoreNumbers) as Head;
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (head === null || typeof head !== 'object') throw refuse(`holds no ${FORMAT} entry`);
  if (head.version !== VERSION) throw refuse(`is of version ${head.version}; this program reads version ${VERSION}`);
  const { allowed, storage, version: _, ...rest } = head;
  const inputs: Record<string, Float32Array | Int32Array> = {};
  const weights: Record<string, WeightTensor> = {};
  const expected: Record<string, { values: Numbers; allowed: number }> = {};
  for (const [full, view] of file.tensors) {
    const [role, name] = [full.slice(0, full.indexOf('.')), full.slice(full.indexOf('.') + 1)];
    const aligned = new Uint8Array(view.bytes).buffer;
    if (role === 'input') inputs[name] = view.dtype === 'I32' ? new Int32Array(aligned) : new Float32Array(aligned);
    else if (role === 'expected')
      expected[name] = { values: view.dtype === 'I32' ? toInt32(view) : toFloat64(view), allowed: allowed[name] ?? 0 };
    else if (role === 'weight') {
      const kind = storage[name] ?? 'f32';
      const data = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, i8: Int8Array }[kind];
      weights[name] = { name, storage: kind, shape: view.shape, data: new data(aligned) };
    }
  }
  return { ...rest, inputs, weights, expected };
}
