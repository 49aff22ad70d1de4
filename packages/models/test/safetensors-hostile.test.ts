/** Files that break the format: each must give a located error, quickly, and never a crash or a wrong tensor. */
import { describe, expect, it } from 'vitest';
import {
  CheckpointError,
  type CheckpointErrorCode,
  checkFinite,
  DTYPE_BYTES,
  type Dtype,
  elementCount,
  parseShardIndex,
  readSafetensors,
  type TensorView,
  writeSafetensors,
} from '../src/index.ts';
import { caught, random, rawFile } from './support.ts';

const read = (bytes: Uint8Array) => readSafetensors(bytes, 'bad.safetensors');
const zeros = (length: number) => new Uint8Array(length);
const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: offsets });

function withLength(length: bigint, rest = 16): Uint8Array {
  const file = new Uint8Array(8 + rest).fill(0x20);
  new DataView(file.buffer).setBigUint64(0, length, true);
  return file;
}

const HOSTILE: readonly [string, CheckpointErrorCode, Uint8Array, string | undefined][] = [
  ['empty', 'M006', zeros(0), undefined],
  ['cut before the length', 'M006', zeros(7), undefined],
  ['cut in the header', 'M006', rawFile({ t: entry([1], [0, 4]) }, zeros(4)).subarray(0, 20), undefined],
  ['cut in the data', 'M006', rawFile({ t: entry([2], [0, 8]) }, zeros(7)), 't'],
  ['no data at all', 'M006', rawFile({ t: entry([2], [0, 8]) }), 't'],
  ['header length 2^64 - 1', 'M007', withLength(2n ** 64n - 1n), undefined],
  ['header length 2^63', 'M007', withLength(2n ** 63n), undefined],
  ['header above the cap', 'M007', withLength(100_000_001n), undefined],
  ['header beyond the file', 'M006', withLength(17n), undefined],
  ['header of no bytes', 'M008', withLength(0n), undefined],
  ['header of spaces', 'M008', withLength(16n), undefined],
  ['header not JSON', 'M008', rawFile('{"t": nonsense}'), undefined],
  ['header cut JSON', 'M008', rawFile('{"t": {"dtype": "F32"'), undefined],
  ['header followed by text', 'M008', rawFile('{} x'), undefined],
  ['header a list', 'M008', rawFile('[]'), undefined],
  ['header a number', 'M008', rawFile('1'), undefined],
  ['header with a byte order mark', 'M008', rawFile('\ufeff{}'), undefined],
  ['header not UTF-8', 'M008', Uint8Array.from([4, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0xff, 0x7d]), undefined],
  ['header deeper than any stack', 'M008', rawFile(`{"t":${'['.repeat(300_000)}`), undefined],
  ['metadata not an object', 'M008', rawFile({ __metadata__: 3 }), undefined],
  ['metadata not texts', 'M008', rawFile({ __metadata__: { a: 1 } }), undefined],
  ['entry null', 'M008', rawFile({ t: null }), 't'],
  ['entry with a strange field', 'M008', rawFile({ t: { ...entry([], [0, 4]), more: 1 } }, zeros(4)), 't'],
  [
    'a tensor twice',
    'M009',
    rawFile(
      '{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0074":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      zeros(1),
    ),
    't',
  ],
  [
    'a field twice',
    'M009',
    rawFile('{"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', zeros(1)),
    undefined,
  ],
  ['metadata twice', 'M009', rawFile('{"__metadata__":{},"__metadata__":{}}'), '__metadata__'],
  ['dtype unknown', 'M010', rawFile({ t: entry([4], [0, 4], 'F8_E4M3') }, zeros(4)), 't'],
  ['dtype from the prototype', 'M010', rawFile({ t: entry([4], [0, 4], 'toString') }, zeros(4)), 't'],
  ['dtype absent', 'M010', rawFile({ t: { shape: [1], data_offsets: [0, 4] } }, zeros(4)), 't'],
  ['shape absent', 'M011', rawFile({ t: { dtype: 'F32', data_offsets: [0, 4] } }, zeros(4)), 't'],
  ['dimension negative', 'M011', rawFile({ t: entry([-1], [0, 4]) }, zeros(4)), 't'],
  ['two negative dimensions', 'M011', rawFile({ t: entry([-1, -1], [0, 4]) }, zeros(4)), 't'],
  ['dimension fractional', 'M011', rawFile({ t: entry([0.5, 2], [0, 4]) }, zeros(4)), 't'],
  ['dimension a text', 'M011', rawFile({ t: entry(['1'], [0, 4]) }, zeros(4)), 't'],
  [
    'dimension beyond 2^53',
    'M011',
    rawFile('{"t":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,0]}}'),
    't',
  ],
  ['dimension infinite', 'M011', rawFile('{"t":{"dtype":"U8","shape":[1e999],"data_offsets":[0,0]}}'), 't'],
  ['product overflows to 0', 'M011', rawFile({ t: entry([2 ** 32, 2 ** 32], [0, 0]) }), 't'],
  ['product of a million dimensions', 'M011', rawFile({ t: entry(new Array(1_000_000).fill(2 ** 52), [0, 0]) }), 't'],
  ['offsets absent', 'M012', rawFile({ t: { dtype: 'F32', shape: [1] } }, zeros(4)), 't'],
  ['offsets three', 'M012', rawFile({ t: entry([1], [0, 4, 8]) }, zeros(8)), 't'],
  ['offset negative', 'M012', rawFile({ t: entry([1], [-4, 0]) }, zeros(4)), 't'],
  ['offset fractional', 'M012', rawFile({ t: entry([1], [0.5, 4.5]) }, zeros(8)), 't'],
  ['offset null', 'M012', rawFile({ t: entry([1], [null, 4]) }, zeros(4)), 't'],
  ['begin after end', 'M012', rawFile({ t: entry([1], [4, 0]) }, zeros(4)), 't'],
  ['size too small', 'M013', rawFile({ t: entry([2], [0, 4]) }, zeros(4)), 't'],
  ['size too large', 'M013', rawFile({ t: entry([], [0, 8]) }, zeros(8)), 't'],
  ['zero shape with bytes', 'M013', rawFile({ t: entry([0], [0, 4]) }, zeros(4)), 't'],
  ['overlap', 'M014', rawFile({ a: entry([2], [0, 8]), t: entry([2], [4, 12]) }, zeros(12)), 't'],
  ['two names for one place', 'M014', rawFile({ a: entry([1], [0, 4]), t: entry([1], [0, 4]) }, zeros(4)), 't'],
  ['empty tensor inside another', 'M014', rawFile({ a: entry([2], [0, 8]), t: entry([0], [4, 4]) }, zeros(8)), 't'],
  ['hole at the start', 'M015', rawFile({ t: entry([1], [4, 8]) }, zeros(8)), 't'],
  ['hole between', 'M015', rawFile({ a: entry([1], [0, 4]), t: entry([1], [8, 12]) }, zeros(12)), 't'],
  ['bytes at the end', 'M015', rawFile({ t: entry([1], [0, 4]) }, zeros(5)), undefined],
  ['data without tensors', 'M015', rawFile({}, zeros(1)), undefined],
  ['far out of range', 'M015', rawFile({ t: entry([1], [2 ** 40, 2 ** 40 + 4]) }, zeros(4)), 't'],
];

describe('hostile files', () => {
  it.each(HOSTILE)('%s: %s', async (_, code, bytes, tensor) => {
    const error = await caught(code, () => read(bytes));
    expect(error.file).toBe('bad.safetensors');
    expect(error.tensor).toBe(tensor);
    expect(error.message.length).toBeLessThan(700);
  });

  it('says where in the header the JSON breaks', async () => {
    const error = await caught('M008', () => read(rawFile('{\n  "t": nope }')));
    expect(error.message).toMatchInlineSnapshot(
      `"M008 bad.safetensors: not valid JSON, line 2 column 8: expected a value. Write the file again with a safetensors library."`,
    );
  });

  it('keeps a hostile name from flooding or garbling the message', async () => {
    const name = `\u001b[31m\u202e${'x'.repeat(100_000)}`;
    const error = await caught('M010', () => read(rawFile({ [name]: entry([1], [0, 4], 'Q') }, zeros(4))));
    expect(error.message.length).toBeLessThan(500);
    expect([...error.message].filter((character) => character < ' ' || character === '\u202e')).toEqual([]);
  });

  it('treats __proto__ as any other name', () => {
    const tensors = read(rawFile('{"__proto__":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', zeros(2))).tensors;
    expect([...tensors.keys()]).toEqual(['__proto__']);
  });
});

/** What must hold of whatever the reader accepts. */
function expectSound(bytes: Uint8Array, tensors: ReadonlyMap<string, TensorView>): void {
  const used = [...tensors.values()].reduce((sum, view) => sum + view.bytes.length, 0);
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  expect(used).toBe(bytes.length - 8 - header);
  for (const view of tensors.values())
    expect(view.bytes.length).toBe(elementCount(view.shape) * DTYPE_BYTES[view.dtype]);
}

describe('damage at random', () => {
  const good = writeSafetensors(
    [
      { name: 'w', dtype: 'F32', shape: [3, 5], data: new Float32Array(15) },
      { name: 'b', dtype: 'F16', shape: [5], data: new Uint16Array(5) },
      { name: 'n', dtype: 'I64', shape: [], data: new BigInt64Array(1) },
    ],
    { format: 'pt' },
  );

  it('every truncation is refused', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => read(good.subarray(0, length)), `cut at ${length}`).toThrow(CheckpointError);
    }
    expect(read(good).tensors.size).toBe(3);
  });

  it('every changed, inserted or removed byte gives a located error or a sound file', () => {
    const next = random(20);
    let refused = 0;
    for (let i = 0; i < 4000; i++) {
      const at = Math.floor(next() * good.length);
      const kind = i % 3;
      const middle = kind === 2 ? [] : [Math.floor(next() * 256)];
      const bytes = Uint8Array.from([...good.subarray(0, at), ...middle, ...good.subarray(at + (kind === 1 ? 0 : 1))]);
      try {
        expectSound(bytes, read(bytes).tensors);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(2000);
  });

  it('random layouts are accepted exactly when they tile the data', () => {
    const next = random(21);
    let accepted = 0;
    for (let i = 0; i < 2000; i++) {
      const count = 1 + Math.floor(next() * 4);
      let at = 0;
      let tiles = true;
      const header: Record<string, unknown> = {};
      for (let t = 0; t < count; t++) {
        const shift = next() < 0.15 ? Math.floor(next() * 5) - 2 : 0;
        const length = Math.floor(next() * 4);
        if (at + shift < 0) continue;
        if (shift !== 0) tiles = false;
        header[`t${t}`] = entry([length], [at + shift, at + shift + length], 'U8');
        at += shift + length;
      }
      const bytes = rawFile(header, zeros(at));
      try {
        expectSound(bytes, read(bytes).tensors);
        accepted++;
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        expect(tiles, JSON.stringify(header)).toBe(false);
      }
    }
    expect(accepted).toBeGreaterThan(500);
  });
});

describe('weights that are no numbers', () => {
  const cases: readonly [Dtype, ArrayBufferView, string][] = [
    ['F32', new Float32Array([1, 2, 3, 4, Number.NaN, 6]), 'NaN'],
    ['F64', new Float64Array([1, 2, 3, 4, Number.NEGATIVE_INFINITY, 6]), '-Infinity'],
    ['F16', new Uint16Array([0x7bff, 0, 0, 0, 0x7c00, 0]), 'Infinity'],
    ['BF16', new Uint16Array([0x7f7f, 0, 0, 0, 0xffc0, 0]), 'NaN'],
  ];
  it.each(cases)('%s: names tensor and index', async (dtype, data, value) => {
    const view = read(writeSafetensors([{ name: 'w', dtype, shape: [2, 3], data }])).tensors.get('w');
    if (view === undefined) throw new Error('no w');
    const error = await caught('M016', () => checkFinite(view));
    expect(error).toMatchObject({ file: 'bad.safetensors', tensor: 'w' });
    expect(error.message).toContain(`element 4 (at [1, 1]) is ${value}`);
    const size = DTYPE_BYTES[dtype];
    expect(checkFinite({ ...view, shape: [4], bytes: view.bytes.subarray(0, 4 * size) })).toBeUndefined();
    const odd = new Uint8Array(view.bytes.length + 1).subarray(1);
    odd.set(view.bytes);
    await caught('M016', () => checkFinite({ ...view, bytes: odd }));
  });

  it('integers pass, whatever their bits', () => {
    const bytes = new Uint8Array(16).fill(0xff);
    expect(checkFinite({ name: 'i', dtype: 'I64', shape: [2], bytes })).toBeUndefined();
  });
});

describe('shard index', () => {
  it.each([
    ['no map', '{}'],
    ['a map of numbers', '{"weight_map":{"w":1}}'],
    ['a shard in another folder', '{"weight_map":{"w":"../../secret.safetensors"}}'],
    ['an absolute shard', '{"weight_map":{"w":"/etc/x.safetensors"}}'],
    ['a shard of another kind', '{"weight_map":{"w":"model.bin"}}'],
    ['no tensors', '{"weight_map":{}}'],
  ])('%s is refused', async (_, text) => {
    expect((await caught('M018', () => parseShardIndex(text, 'i.json'))).file).toBe('i.json');
  });
});
