/**
 * Tiles of dense products on CUDA: which of them a width gets from which number of rows on, that all of them fit the memory of a
 * workgroup, how operands lie there, and by which loads fragments come from it.
 */
import { type LayerIR, standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import { compile, cuda, type Form, type Kernel, partition, type Target } from '../src/index.ts';
import * as k from '../src/kernel-ir/build.ts';
import type { MmaPrecision } from '../src/kernel-ir/types.ts';
import { tilesFor } from '../src/targets/cuda/tiles.ts';
import { printed, product } from './support/cuda-kernels.ts';
import * as h from './support/handwritten.ts';

const capabilitiesOf: Readonly<Record<MmaPrecision, Readonly<Record<string, boolean>>>> = {
  f32: {},
  tf32: { 'tensor-cores': true },
  bf16: { 'tensor-bf16': true },
  f16: { 'tensor-f16': true },
};
const precisions = ['f32', 'tf32', 'bf16', 'f16'] as const;

const linear = (D: number, O: number): LayerIR => standardLayer('linear', { dims: { D, O } });
/** Two sums side by side, then one: gated_ff(D → H → O). */
const gated = (D: number, H: number): LayerIR => standardLayer('gated_ff', { dims: { D, H, O: 40 } });

type Tile = Extract<Form, { form: 'tile' }>;
const tileOf = (form: Form): string =>
  form.form === 'tile' ? `${form.rows}x${form.columns}x${form.depth}` : form.form;
/** The first row and the tile of each variant of a layer's first unit. */
const startsOf = (layer: LayerIR, precision: MmaPrecision): readonly (readonly [number, string])[] => {
  const [unit] = partition(layer);
  if (unit === undefined) throw new Error('no unit');
  const capabilities = { ...cuda.defaults, ...capabilitiesOf[precision] };
  const variants = cuda.variants(unit, capabilities, layer);
  // They cover all numbers of rows, one after another.
  for (const [i, v] of variants.entries()) expect(v.below).toBe(variants[i + 1]?.from);
  return variants.map((v) => [v.from, tileOf(v.form)]);
};

describe('by rows and width', () => {
  // By hand from the tables: a tile of R rows and C columns that is wanted n times begins, at widths of 256 and more, with the first
  // row of its ⌈n / ⌈width / C⌉⌉-th line of tiles, and never before its own least number of rows.
  it.each<[MmaPrecision, number, readonly (readonly [number, string])[]]>([
    ['f32', 7, []],
    ['f32', 9, [[8, '32x32x16']]],
    [
      'f32',
      255,
      [
        [8, '32x32x16'],
        [64, '64x64x16'],
      ],
    ],
    [
      'f32',
      256,
      [
        [161, '32x32x16'],
        [1409, '64x64x16'],
        [6017, '128x64x16'],
        [25473, '128x128x16'],
      ],
    ],
    [
      'f32',
      768,
      [
        [33, '32x32x16'],
        [449, '64x64x16'],
        [1921, '128x64x16'],
        [8449, '128x128x16'],
      ],
    ],
    [
      'f32',
      3072,
      [
        [8, '32x32x16'],
        [65, '64x64x16'],
        [512, '128x64x16'],
        [4096, '128x128x16'],
      ],
    ],
    ['tf32', 9, [[8, '32x32x16']]],
    [
      'tf32',
      255,
      [
        [8, '32x64x32'],
        [64, '64x64x32'],
      ],
    ],
    [
      'tf32',
      256,
      [
        [8, '32x32x16'],
        [161, '32x64x32'],
        [577, '64x64x32'],
        [16257, '128x128x16'],
      ],
    ],
    [
      'tf32',
      768,
      [
        [8, '32x32x16'],
        [33, '32x64x32'],
        [193, '64x64x32'],
        [5377, '128x128x16'],
      ],
    ],
    [
      'tf32',
      3072,
      [
        [8, '32x64x32'],
        [64, '64x64x32'],
        [2048, '128x128x16'],
      ],
    ],
    [
      'bf16',
      256,
      [
        [8, '32x32x16'],
        [161, '32x64x32'],
        [577, '64x64x64'],
        [16257, '128x128x32'],
      ],
    ],
    [
      'f16',
      3072,
      [
        [8, '32x64x32'],
        [64, '64x64x64'],
        [2048, '128x128x32'],
      ],
    ],
  ])('%s, %i wide', (precision, width, expected) => {
    expect(startsOf(linear(64, width), precision)).toEqual([[0, 'elements'], ...expected]);
  });

  it.each<[MmaPrecision, number, readonly (readonly [number, string])[]]>([
    [
      'f32',
      768,
      [
        [33, '32x32x16'],
        [449, '64x64x16'],
      ],
    ],
    [
      'f32',
      3072,
      [
        [8, '32x32x16'],
        [65, '64x64x16'],
      ],
    ],
    [
      'tf32',
      768,
      [
        [8, '32x32x16'],
        [33, '32x64x32'],
        [193, '64x64x16'],
      ],
    ],
    [
      'bf16',
      3072,
      [
        [8, '32x64x32'],
        [64, '64x64x32'],
      ],
    ],
  ])('%s, two sums %i wide take no tile that is for one', (precision, width, expected) => {
    expect(startsOf(gated(64, width), precision)).toEqual([[0, 'elements'], ...expected]);
  });

  it('every variant begins with as many tiles as are wanted', () => {
    for (const precision of precisions)
      for (const width of [256, 260, 768, 1000, 3072])
        for (const [from, tile] of startsOf(linear(64, width), precision).slice(1)) {
          const all = tilesFor(precision).filter((c) => tileOf({ form: 'tile', ...c.tile }) === tile);
          const count = (rows: number, c: (typeof all)[number]): number =>
            Math.ceil(rows / c.tile.rows) * Math.ceil(width / c.tile.columns);
          const starts = all.filter((c) => from >= c.from && count(from, c) >= (c.tiles ?? 0));
          expect(starts.length, `${precision} ${width}: ${tile} from ${from}`).toBeGreaterThan(0);
          // One row fewer would be too few, of rows or of tiles.
          expect(starts.some((c) => from - 1 < c.from || count(from - 1, c) < (c.tiles ?? 0))).toBe(true);
        }
  });
});

/** A target that takes this tile for every product. */
const taking = (tile: Omit<Tile, 'form'>): Target => ({
  ...cuda,
  variants: () => [{ name: '', from: 0, form: { form: 'tile', ...tile } }],
});
const bytes: Readonly<Record<string, number>> = { float: 4, int: 4, 'unsigned short': 2, 'signed char': 1 };
/** Bytes of workgroup memory of each kernel of a source text. */
const sharedOf = (source: string): readonly number[] =>
  source
    .split('extern "C"')
    .slice(1)
    .map((kernel) =>
      [...kernel.matchAll(/__shared__ (?:__align__\(16\) )?([a-z ]+) \w+\[(\d+)\]/g)].reduce(
        (sum, [, type, count]) => sum + (bytes[type as string] ?? Number.NaN) * Number(count),
        0,
      ),
    );

const choices = precisions.flatMap((precision) =>
  tilesFor(precision).map((choice) => [precision, tileOf({ form: 'tile', ...choice.tile }), choice] as const),
);

describe('every tile fits the memory of a workgroup', () => {
  /** Bytes of a tile's stretches of an operand: matrix units have theirs in lines along the depth, 16 bytes longer than need be. */
  const operandsOf = (
    precision: MmaPrecision,
    tile: Omit<Tile, 'form'>,
  ): { readonly x: number; readonly w: number } => {
    const { rows, columns, depth, stages = 1 } = tile;
    if (precision === 'f32') return { x: depth * stages * (rows + 4) * 4, w: depth * stages * (columns + 4) * 4 };
    const size = precision === 'tf32' ? 4 : 2;
    return { x: rows * stages * (depth * size + 16), w: columns * (depth * stages * size + 16) };
  };

  it.each(choices)('%s, %s, with one sum', async (precision, _, { tile }) => {
    const { x, w } = operandsOf(precision, tile);
    for (const [D, O] of [
      [64, 256],
      [48, 128],
      [41, 130],
      [42, 257],
    ] as const) {
      const options = { target: taking(tile), capabilities: capabilitiesOf[precision], verify: 'each' } as const;
      const { source } = await compile(linear(D, O), options);
      expect(sharedOf(source), `${D}, ${O}`).toEqual([x + w]);
    }
    expect(x + w).toBeLessThanOrEqual(48 * 1024);
  });

  it.each(choices.filter(([, , c]) => c.mostSums !== 1))('%s, %s, with two sums', async (precision, _, { tile }) => {
    const { x, w } = operandsOf(precision, tile);
    for (const [D, H] of [
      [64, 256],
      [41, 130],
    ] as const) {
      const options = { target: taking(tile), capabilities: capabilitiesOf[precision], verify: 'each' } as const;
      const { source } = await compile(gated(D, H), options);
      // Two sums share x.
      expect(sharedOf(source), `${D}, ${H}`).toEqual([x + 2 * w, x + w]);
    }
    expect(x + 2 * w).toBeLessThanOrEqual(48 * 1024);
  });
});

const lowered = (layer: LayerIR, tile: Omit<Tile, 'form'>, precision: MmaPrecision): Kernel => {
  const capabilities = { ...cuda.defaults, ...capabilitiesOf[precision] };
  const [first] = lowerLayer(layer, taking(tile), capabilities, {});
  if (first === undefined) throw new Error('no kernel');
  return first.kernel;
};

describe('operands in workgroup memory', () => {
  it.each(precisions.slice(1).flatMap((precision) => ([1, 2] as const).map((stages) => [precision, stages] as const)))(
    'lie along the depth for matrix units: %s, %i stages',
    (precision, stages) => {
      const tile = { ...(tilesFor(precision)[1]?.tile as Omit<Tile, 'form'>), stages };
      const kernel = lowered(linear(64, 256), tile, precision);
      const [x, w] = ['x_tile', 'w_tile'].map((of) => kernel.buffers.find((b) => b.name === of));
      const spare = precision === 'tf32' ? 4 : 8;
      const extents = (b: typeof x): unknown => b?.shape.map((s) => s[0]?.coefficient);
      expect([x?.storage, w?.storage]).toEqual([precision, precision]);
      // x: a line for each row of each stage. w: a line for each column, with the stages one after another in it.
      expect(extents(x)).toEqual([tile.rows * stages, tile.depth + spare]);
      expect(x?.layout.map((d) => d.axis)).toEqual([0, 1]);
      expect(extents(w)).toEqual([tile.depth * stages + spare, tile.columns]);
      expect(w?.layout.map((d) => d.axis)).toEqual([1, 0]);
      // Lanes that go down a column meet all memory banks: lines are an odd number of 16 bytes.
      const unit = 16 / (precision === 'tf32' ? 4 : 2);
      expect(((tile.depth + spare) / unit) % 2).toBe(1);
      expect(((tile.depth * stages + spare) / unit) % 2).toBe(1);
    },
  );

  it('are rounded where they are stored, once', async () => {
    for (const [precision, rounded] of [
      ['tf32', 'tf32_store4'],
      ['bf16', 'bf16_store4'],
      ['f16', 'f16_store4'],
    ] as const) {
      const tile = tilesFor(precision)[1]?.tile as Omit<Tile, 'form'>;
      const { source } = await compile(linear(64, 256), {
        target: taking(tile),
        capabilities: capabilitiesOf[precision],
      });
      const kernel = source.slice(source.indexOf('extern "C"'));
      expect(kernel.match(new RegExp(`espalier::${rounded}\\(`, 'g'))?.length, precision).toBe(2);
      expect(kernel).not.toMatch(/load_[ab]_k\d+_(tf32|f16|bf16)\(/);
    }
  });
});

describe('fragments come by rows of 16 bytes', () => {
  const loads = (source: string): readonly string[] =>
    [
      ...new Set(
        [...source.slice(source.indexOf('extern "C"')).matchAll(/espalier::(load_[ab]_\w+)\(/g)].map(
          (m) => m[1] as string,
        ),
      ),
    ].sort();

  it.each(choices.filter(([precision]) => precision !== 'f32'))(
    'in tiles of 16-bit elements: %s, %s',
    async (precision, _, { tile }) => {
      for (const stages of [1, 2] as const) {
        const { source } = await compile(linear(64, 256), {
          target: taking({ ...tile, stages }),
          capabilities: capabilitiesOf[precision],
        });
        const expected =
          precision === 'tf32' ? ['load_a_k8_tf32_bits', 'load_b_k8_tf32_bits'] : ['load_a_rows', 'load_b_rows'];
        expect(loads(source)).toEqual(expected);
      }
    },
  );

  /** The product of 16-bit tiles, a's lines `pitch` long and its fragment `first` further on. */
  const padded = (pitch: number, first: number, columns = 16): Kernel => {
    const kernel = product('f16', [16, columns, 16], { storage: 'f16', byColumns: true });
    return {
      ...kernel,
      buffers: kernel.buffers.map((b) =>
        b.name === 'a_tile' ? h.buffer('a_tile', [16, pitch], 'workgroup', 'read_write', { storage: 'f16' }) : b,
      ),
      body: kernel.body.map((s) =>
        s.kind !== 'for'
          ? s
          : {
              ...s,
              body: s.body.map((x) =>
                x.kind === 'fragment' && x.fragment === 'fa' ? { ...x, indices: [k.i32(0), k.i32(first)] } : x,
              ),
            },
      ),
    };
  };
  const [byRows, one] = ['load_a_rows', 'load_a_k16_f16'];

  it.each([
    [16, 0, byRows],
    [24, 0, byRows],
    [24, 8, byRows],
    [20, 0, one],
    [18, 0, one],
    [24, 4, one],
    [24, 1, one],
    [40, 24, byRows],
  ])('where lines of %i, begun at %i, are such rows', (pitch, first, expected) => {
    expect(loads(printed(padded(pitch, first)))).toEqual([expected, 'load_b_rows']);
  });

  it('where b has tiles in pairs', () => {
    expect(loads(printed(padded(16, 0, 8)))).toEqual(['load_a_rows', 'load_b_k16_f16']);
    expect(loads(printed(padded(16, 0, 24)))).toEqual(['load_a_rows', 'load_b_k16_f16']);
  });

  it('and not from f32, nor where b lies row by row', () => {
    expect(loads(printed(product('f16', [16, 16, 16])))).toEqual(['load_a_k16_f16', 'load_b_k16_f16']);
    expect(loads(printed(product('f16', [16, 16, 16], { storage: 'f16' })))).toEqual(['load_a_rows', 'load_b_k16_f16']);
  });
});
