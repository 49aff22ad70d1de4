/** A message between this process and a page: JSON, and the arrays that JSON would make long, as they lie in memory. */

const types = { Float32Array, Float64Array, Int32Array, Int8Array, Uint8Array, Uint16Array } as const;
type TypeName = keyof typeof types;

/** An array that travels. */
export type Carried = Float32Array | Float64Array | Int32Array | Int8Array | Uint8Array | Uint16Array;

export interface Envelope<T = unknown> {
  readonly body: T;
  readonly arrays: readonly Carried[];
}

interface Header {
  readonly body: unknown;
  readonly arrays: readonly { readonly type: TypeName; readonly length: number }[];
}

/** Arrays begin at multiples of this, so that they can be read where they lie. */
const ALIGNMENT = 8;
const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** Length of the header (32 bits, little endian, and 4 bytes of nothing), the header, the arrays. Throws TypeError for any other array. */
export function pack({ body, arrays }: Envelope): Uint8Array {
  const described = arrays.map((array) => {
    const type = array.constructor.name;
    if (!(type in types)) throw new TypeError(`an array of type ${type} does not travel`);
    return { type: type as TypeName, length: array.length };
  });
  const header = new TextEncoder().encode(JSON.stringify({ body, arrays: described } satisfies Header));
  const start = ALIGNMENT + aligned(header.length);
  const bytes = new Uint8Array(arrays.reduce((end, array) => end + aligned(array.byteLength), start));
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, ALIGNMENT);
  let at = start;
  for (const array of arrays) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += aligned(array.byteLength);
  }
  return bytes;
}

/** What `pack` packed; `bytes` must be aligned, as fresh memory is. The arrays share its memory. */
export function unpack(bytes: Uint8Array): Envelope {
  const { buffer, byteOffset } = bytes;
  const length = new DataView(buffer, byteOffset).getUint32(0, true);
  const text = new TextDecoder().decode(bytes.subarray(ALIGNMENT, ALIGNMENT + length));
  const { body, arrays } = JSON.parse(text) as Header;
  let at = byteOffset + ALIGNMENT + aligned(length);
  return {
    body,
    arrays: arrays.map(({ type, length: count }) => {
      const array = new types[type](buffer as ArrayBuffer, at, count);
      at += aligned(array.byteLength);
      return array;
    }),
  };
}
