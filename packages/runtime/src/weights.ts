/**
 * Weights on the device: each is checked against its binding, packed once into the layout that kernels want, and uploaded.
 * A weight that several steps take in one layout has one buffer. Nothing is retained on the host, and one weight at a time is
 * fetched of those that come on demand.
 */
import {
  type Binding,
  evaluateSize,
  type Layout,
  packWeight,
  physicalLength,
  type StorageType,
  storageBytes,
} from '@espalier/artefact';
import type { Device, DeviceBuffer } from './contract.ts';
import { checkCountable } from './countable.ts';
import { RuntimeError } from './errors.ts';
import { arrayTypes, elementsOf, storageOf, type WeightSource, type WeightTensor } from './tensor-data.ts';

/** Which packed form of a weight a binding takes: equal keys share one buffer. */
export const packedKey = (name: string, binding: Binding): string =>
  JSON.stringify([name, binding.storage, binding.shape, binding.layout]);

/**
 * Throws RuntimeError R010 (element type) or R011 (shape) unless `weight` is what `binding` of `step` takes, as far as that is
 * known before its elements are; R025 where it has more of them than kernels can number. Returns its shape.
 */
export function checkWeight(name: string, weight: WeightSource, binding: Binding, step: string): readonly number[] {
  const shape = binding.shape.map((size) => evaluateSize(size, {}));
  const data = 'load' in weight ? undefined : weight.data;
  const held = data === undefined ? weight.storage : storageOf(data);
  if (weight.storage !== binding.storage || held !== weight.storage)
    throw new RuntimeError(
      'R010',
      `weight ${name} is ${weight.storage}${held === weight.storage ? '' : ` in an array of ${held ?? 'another type'}`}, ` +
        `${step} takes ${binding.name} as ${binding.storage}; convert it, or compile the layer for ${weight.storage} weights`,
    );
  const elements = elementsIn(shape);
  const given = data?.length ?? elementsIn(weight.shape);
  const same = weight.shape.length === shape.length && weight.shape.every((size, axis) => size === shape[axis]);
  if (!same || given !== elements)
    throw new RuntimeError(
      'R011',
      `weight ${name} has shape [${weight.shape.join(', ')}] and ${given} elements, ${step} takes ${binding.name} ` +
        `as [${shape.join(', ')}] (${elements} elements); is the checkpoint of this configuration?`,
    );
  checkCountable(`weight ${name}`, shape, 'use smaller weights');
  return shape;
}

const elementsIn = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Memory for the largest of `sources` that is on demand. Nothing of it is in use until it is written. */
export const roomFor = (sources: Iterable<WeightSource>): ArrayBuffer =>
  new ArrayBuffer(
    Math.max(0, ...[...sources].map((s) => ('load' in s ? elementsIn(s.shape) * storageBytes[s.storage] : 0))),
  );

/**
 * The weight with its elements, which may lie in `room`. Rejects with what its `load` rejects with, or RuntimeError R010 or R011
 * where it gave others than it said.
 */
export async function fetchWeight(name: string, weight: WeightSource, room: ArrayBuffer): Promise<WeightTensor> {
  if (!('load' in weight)) return weight;
  const { storage, shape } = weight;
  const elements = elementsIn(shape);
  const data = await weight.load(elementsOf(storage, new Uint8Array(room, 0, elements * storageBytes[storage])));
  const held = storageOf(data);
  if (held !== storage)
    throw new RuntimeError(
      'R010',
      `weight ${name} was said to be ${storage} and loads as ${held ?? typeof data}; correct its load`,
    );
  if (data.length !== elements)
    throw new RuntimeError(
      'R011',
      `weight ${name} was said to have ${elements} elements and loads ${data.length}; correct its load`,
    );
  return { storage, shape, data };
}

/** The bytes, or where they are less than a word, which is the least a buffer has, a word that begins with them. */
function wholeWord(data: ArrayBufferView): ArrayBufferView {
  if (data.byteLength >= 4) return data;
  const word = new Uint8Array(4);
  word.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return word;
}

const isRowMajor = (layout: Layout): boolean => layout.every((dim, i) => dim.part === 'whole' && dim.axis === i);

/** Packs and uploads one weight. Where the host addresses the device's memory it is packed in place, else by way of one temporary array. */
export function uploadWeight(
  device: Device,
  name: string,
  weight: WeightTensor,
  shape: readonly number[],
  layout: Layout,
): DeviceBuffer {
  const storage: StorageType = weight.storage;
  const length = physicalLength(layout, shape);
  const buffer = device.createBuffer(Math.max(length * storageBytes[storage], 4), `weight ${name}`);
  try {
    if (isRowMajor(layout)) buffer.write(wholeWord(weight.data));
    else if (buffer.view)
      packWeight(weight.data, shape, layout, elementsOf(storage, buffer.view(0, length * storageBytes[storage])));
    else {
      const packed = new arrayTypes[storage](length);
      packWeight(weight.data, shape, layout, packed);
      buffer.write(wholeWord(packed));
    }
  } catch (error) {
    buffer[Symbol.dispose]();
    throw error;
  }
  return buffer;
}
