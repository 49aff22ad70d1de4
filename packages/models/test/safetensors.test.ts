/** The safetensors format when all is well: round trips, conversions, alignment, the bundled models. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  DTYPE_BYTES,
  type Dtype,
  elementCount,
  readSafetensors,
  type TensorData,
  type TensorView,
  toFloat32,
  toFloat64,
  toInt32,
  writeSafetensors,
} from '../src/index.ts';
import { BUNDLED, caught, model, random, rawFile } from './support.ts';

function only(bytes: Uint8Array, name: string): TensorView {
  const view = readSafetensors(bytes, 'x.safetensors').tensors.get(name);
  if (view === undefined) throw new Error(`no tensor ${name}`);
  return view;
}

function viewOf(dtype: Dtype, data: ArrayBufferView, misaligned = false): TensorView {
  const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = new Uint8Array(source.length + 1).subarray(misaligned ? 1 : 0, source.length + (misaligned ? 1 : 0));
  bytes.set(source);
  return { name: 't', dtype, shape: [source.length / DTYPE_BYTES[dtype]], bytes };
}

describe('round trip', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('keeps every name, dtype, shape and byte (seed %i)', (seed) => {
    const next = random(seed);
    const dtypes = Object.keys(DTYPE_BYTES) as Dtype[];
    const tensors: TensorData[] = Array.from({ length: Math.floor(next() * 20) }, (_, i) => {
      const dtype = dtypes[Math.floor(next() * dtypes.length)] as Dtype;
      const shape = Array.from({ length: Math.floor(next() * 4) }, () => Math.floor(next() * 6));
      const data = Uint8Array.from({ length: elementCount(shape) * DTYPE_BYTES[dtype] }, () => next() * 256);
      return { name: ['a"b', 'ä\n', '__proto__', '7', 'x.y'][i] ?? `t${i}`, dtype, shape, data };
    });
    const metadata = { format: 'pt', 'ключ"': String(seed) };
    const bytes = writeSafetensors(tensors, metadata);
    const read = readSafetensors(bytes);
    expect(read.metadata).toEqual(metadata);
    expect([...read.tensors.keys()].sort()).toEqual(tensors.map((t) => t.name).sort());
    const base = new DataView(bytes.buffer).getUint32(0, true) + 8;
    expect(base % 8).toBe(0);
    for (const { name, dtype, shape, data } of tensors) {
      const view = read.tensors.get(name);
      expect(view).toMatchObject({ name, dtype, shape });
      expect(view?.bytes).toEqual(data);
      expect((view?.bytes.byteOffset ?? -1) % DTYPE_BYTES[dtype]).toBe(0);
      expect(view?.bytes.buffer).toBe(bytes.buffer);
    }
    expect(writeSafetensors(tensors.toReversed(), metadata)).toEqual(bytes);
  });

  it('keeps an empty file, scalars and tensors without elements', () => {
    expect(readSafetensors(writeSafetensors([])).tensors.size).toBe(0);
    expect(readSafetensors(rawFile('{}')).metadata).toEqual({});
    const bytes = writeSafetensors([
      { name: 'scalar', dtype: 'F32', shape: [], data: new Float32Array([2.5]) },
      { name: 'none', dtype: 'F64', shape: [3, 0, 2], data: new Float64Array(0) },
    ]);
    expect(toFloat32(only(bytes, 'scalar'))).toEqual(new Float32Array([2.5]));
    expect(toFloat64(only(bytes, 'none'))).toEqual(new Float64Array(0));
  });

  it('puts larger elements first, then names, and pads the header with spaces', () => {
    const bytes = writeSafetensors([
      { name: 'b', dtype: 'U8', shape: [3], data: new Uint8Array([1, 2, 3]) },
      { name: 'z', dtype: 'F32', shape: [1], data: new Float32Array([1]) },
      { name: 'a', dtype: 'F32', shape: [1], data: new Float32Array([2]) },
    ]);
    expect([...readSafetensors(bytes).tensors.keys()]).toEqual(['a', 'z', 'b']);
    const text = new TextDecoder().decode(bytes.subarray(8, 8 + (bytes[0] ?? 0) + 256 * (bytes[1] ?? 0)));
    expect(text).toMatch(/^\{.*\} *$/);
  });
});

describe('writing refuses', () => {
  const good: TensorData = { name: 'a', dtype: 'F32', shape: [2], data: new Float32Array(2) };
  it.each<[string, readonly TensorData[]]>([
    ['a name twice', [good, good]],
    ['the reserved name', [{ ...good, name: '__metadata__' }]],
    ['a lone surrogate', [{ ...good, name: '\ud800' }]],
    ['too little data', [{ ...good, shape: [3] }]],
    ['a fractional dimension', [{ ...good, shape: [0.5, 4] }]],
    ['a negative dimension', [{ ...good, shape: [-1, -2] }]],
    ['data of another type', [{ ...good, dtype: 'I32' }]],
  ])('%s', async (_, tensors) => {
    expect((await caught('M019', () => writeSafetensors(tensors))).tensor).toBe(tensors[0]?.name);
  });
});

describe('numbers', () => {
  it('widens every F16 exactly', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = toFloat32(viewOf('F16', bits));
    let wrong = 0;
    bits.forEach((half, i) => {
      const sign = half >> 15 ? -1 : 1;
      const exponent = (half >> 10) & 31;
      const fraction = half & 1023;
      const value =
        exponent === 31
          ? fraction === 0
            ? sign * Number.POSITIVE_INFINITY
            : Number.NaN
          : sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
      if (!Object.is(wide[i], value)) wrong++;
    });
    expect(wrong).toBe(0);
  });

  it('widens every BF16 exactly', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = toFloat32(viewOf('BF16', bits));
    const words = new Uint32Array(wide.buffer);
    expect(words.every((word, i) => word === i * 65536)).toBe(true);
    expect([0x3f80, 0x4049, 0xc2f7].map((i) => wide[i])).toEqual([1, 3.140625, -123.5]);
  });

  it('rounds F64 to the nearest F32 and refuses what does not fit', async () => {
    const next = random(9);
    const values = Float64Array.from({ length: 1001 }, () => (next() - 0.5) * 10 ** Math.floor(next() * 40 - 20));
    values.set([0, -0, Number.NaN, Number.POSITIVE_INFINITY, 1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e-46]);
    expect(toFloat32(viewOf('F64', values))).toEqual(Float32Array.from(values, Math.fround));
    expect(toFloat64(viewOf('F64', values, true))).toEqual(values);
    const error = await caught('M017', () => toFloat32(viewOf('F64', new Float64Array([1, 1e39]))));
    expect(error.message).toContain('element 1 is 1e+39');
  });

  it('reads misaligned tensors by copying, aligned ones in place', () => {
    const values = new Float32Array([1, -2, 3.5]);
    const misaligned = viewOf('F32', values, true);
    expect(misaligned.bytes.byteOffset % 4).toBe(1);
    expect(toFloat32(misaligned)).toEqual(values);
    const inPlace = viewOf('F32', values);
    expect(toFloat32(inPlace).buffer).toBe(inPlace.bytes.buffer);
    expect(toFloat32(viewOf('F16', new Uint16Array([0x3c00]), true))).toEqual(new Float32Array([1]));
    expect(toInt32(viewOf('I64', new BigInt64Array([-5n, 2n ** 31n - 1n]), true))).toEqual(
      new Int32Array([-5, 2147483647]),
    );
    expect(toFloat32({ ...misaligned, bytes: Buffer.from([0, 0, 0, 128, 63]).subarray(1), shape: [1] })[0]).toBe(1);
  });

  it('reads a file whose header leaves the data misaligned, and a Buffer at an odd address', () => {
    const header = '{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    for (let pad = 0; pad < 4; pad++) {
      const file = rawFile(header + ' '.repeat(pad), new Uint8Array(new Float32Array([0.1, -7]).buffer));
      const odd = Buffer.alloc(file.length + 3).subarray(3);
      odd.set(file);
      for (const bytes of [file, odd]) expect(toFloat32(only(bytes, 't'))).toEqual(new Float32Array([0.1, -7]));
    }
  });

  it('reads every kind of integer as I32 and checks the range of I64', async () => {
    expect(toInt32(viewOf('I16', new Int16Array([-3, 9])))).toEqual(new Int32Array([-3, 9]));
    expect(toInt32(viewOf('I8', new Int8Array([-128, 127])))).toEqual(new Int32Array([-128, 127]));
    expect(toInt32(viewOf('U8', new Uint8Array([255])))).toEqual(new Int32Array([255]));
    expect(toInt32(viewOf('BOOL', new Uint8Array([0, 1])))).toEqual(new Int32Array([0, 1]));
    expect(toInt32(viewOf('I32', new Int32Array([-1]), true))).toEqual(new Int32Array([-1]));
    for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 62n]) {
      const error = await caught('M017', () => toInt32(viewOf('I64', new BigInt64Array([0n, value]))));
      expect(error.message).toContain(`element 1 is ${value}`);
    }
  });

  it('never takes integers for floats or the other way round', async () => {
    await caught('M017', () => toFloat32(viewOf('I32', new Int32Array(1))));
    await caught('M017', () => toFloat64(viewOf('BOOL', new Uint8Array(1))));
    await caught('M017', () => toInt32(viewOf('F32', new Float32Array(1))));
  });
});

describe('bundled models', () => {
  it.each(BUNDLED)('%s: the writer gives back what the reader read', (name) => {
    const { tensors, metadata } = readSafetensors(readFileSync(model(`${name}/model.safetensors`)));
    expect(tensors.size).toBeGreaterThan(40);
    const again = readSafetensors(
      writeSafetensors(
        [...tensors.values()].map((view) => ({ ...view, data: view.bytes })),
        metadata,
      ),
    );
    expect(again.metadata).toEqual(metadata);
    for (const [key, view] of tensors) {
      const other = again.tensors.get(key);
      expect(other?.shape).toEqual(view.shape);
      expect(Buffer.compare(Buffer.from(other?.bytes ?? []), Buffer.from(view.bytes))).toBe(0);
    }
  });
});
