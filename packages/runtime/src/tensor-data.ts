/** Element types of tensors on the host's side, and what callers may pass for an input. */
import type { StorageType, WeightData } from '@espalier/artefact';

/** A tensor on the host: row-major elements, and the extent of each axis. */
export interface HostTensor<Data extends WeightData = WeightData> {
  readonly data: Data;
  readonly shape: readonly number[];
}

/** An input: a tensor with its shape, or the elements alone where the shape follows from their number. */
export type InputTensor = WeightData | HostTensor;

/** A weight as a checkpoint holds it: row-major, with the storage type that `data` is in. */
export interface WeightTensor extends HostTensor {
  readonly storage: StorageType;
}

/**
 * A weight that is fetched when it is its turn to be packed, and let go of before the next one is: so that a checkpoint need
 * never be in memory as a whole beside the packed weights.
 */
export interface WeightOnDemand {
  readonly storage: StorageType;
  readonly shape: readonly number[];
  /**
   * The elements, row-major. `room` has the weight's type and number of elements, and is the same memory for all weights of a
   * graph: a `load` that reads from a file fills and returns it, so that no other memory is taken. One that has the elements
   * somewhere returns those. Called once for each graph that is loaded, however many steps take the weight.
   */
  load(room: WeightData): WeightData | Promise<WeightData>;
}

/** A weight, or how to get it. */
export type WeightSource = WeightTensor | WeightOnDemand;

type ArrayOf = { f32: Float32Array; i32: Int32Array; f16: Uint16Array; i8: Int8Array };

/** The array type of each storage type. f16 travels as the bits. */
export const arrayTypes = { f32: Float32Array, i32: Int32Array, f16: Uint16Array, i8: Int8Array } as const;

/** The storage type whose elements `data` holds; undefined for what is no array of one. */
export const storageOf = (data: unknown): StorageType | undefined =>
  (Object.keys(arrayTypes) as StorageType[]).find((storage) => data instanceof arrayTypes[storage]);

/** `bytes` as elements of `storage`; shares the memory. `bytes` must be aligned for them. */
export const elementsOf = <S extends StorageType>(storage: S, bytes: Uint8Array): ArrayOf[S] => {
  const type = arrayTypes[storage];
  return new type(
    bytes.buffer as ArrayBuffer,
    bytes.byteOffset,
    bytes.byteLength / type.BYTES_PER_ELEMENT,
  ) as ArrayOf[S];
};

/** The parts of an input: `shape` is absent where the caller gave elements alone. Of what is no input, `data` is what was given. */
export const inputParts = (input: InputTensor): { readonly data: WeightData; readonly shape?: readonly number[] } =>
  (input as Partial<HostTensor> | undefined)?.data ? (input as HostTensor) : { data: input as WeightData };

/** What a caller gave in place of elements, for messages. */
export const kindOf = (data: unknown): string => (data as object | undefined)?.constructor?.name ?? typeof data;
