/** What goes into the interpreter and how it refuses: dims, tensors, storages, indices out of range; empty and odd sizes. */
import { describe, expect, it } from 'vitest';
import {
  decodeHalf,
  InterpretError,
  type InterpretErrorCode,
  interpretLayer,
  type LayerIR,
  layerFromText,
  standardLayer,
} from '../src/index.ts';
import { at, define, index, layer, random, randomArray, range, tensor } from './support/hand-ir.ts';
import { furthest, only } from './support/results.ts';

/** The error a run throws. */
function refused(run: () => unknown): InterpretError {
  try {
    run();
  } catch (error) {
    if (error instanceof InterpretError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const linear = standardLayer('linear', { dims: { D: 3, O: 2 } });
const weights = { w: [1, 2, 3, 4, 5, 6], b: [0.5, -0.5] };

describe('what is given', () => {
  it('comes back as all locals and outputs, or as those asked for', () => {
    const norm = standardLayer('layer_norm', { dims: { D: 2 } });
    const tensors = { x: [1, 3], g: [1, 1], b: [0, 0] };
    expect(Object.keys(interpretLayer(norm, { dims: { T: 1 }, tensors }))).toEqual(['mean', 'variance', 'y']);
    expect(interpretLayer(norm, { dims: { T: 1 }, tensors, keep: ['mean'] })).toEqual({ mean: Float64Array.of(2) });
  });

  it('may be any array of numbers', () => {
    const expected = Float64Array.of(14.5, 31.5);
    for (const x of [[1, 2, 3], Float32Array.of(1, 2, 3), Float64Array.of(1, 2, 3), Int32Array.of(1, 2, 3)]) {
      expect(only(interpretLayer(linear, { dims: { T: 1 }, tensors: { x, ...weights } }), 'y')).toEqual(expected);
    }
  });

  it('may be empty', () => {
    expect(only(interpretLayer(linear, { dims: { T: 0 }, tensors: { x: [], ...weights } }), 'y')).toEqual(
      new Float64Array(0),
    );
    const narrow = standardLayer('linear', { dims: { O: 2, D: 0 } });
    const nothing = { x: [], w: [], b: [1, 2] };
    expect(only(interpretLayer(narrow, { dims: { T: 2 }, tensors: nothing }), 'y')).toEqual(
      Float64Array.of(1, 2, 1, 2),
    );
  });

  it('may be stored as f16 bit patterns or i8', () => {
    const halves = standardLayer('linear', { dims: { D: 3, O: 1 }, storage: { w: 'f16' }, without: ['b'] });
    const w = Uint16Array.of(0x3c00, 0xc000, 0x3555);
    const y = only(interpretLayer(halves, { dims: { T: 1 }, tensors: { x: [1, 10, 3], w } }), 'y');
    expect(y).toEqual(Float64Array.of(1 - 20 + 3 * 0.333251953125));
    const bytes = layerFromText('layer bytes(T) { input x[T] weight w[4]: i8 output y[t] = x[t] * w[t % 4] }');
    const scaled = interpretLayer(bytes, {
      dims: { T: 4 },
      tensors: { x: [1, 1, 2, 2], w: Int8Array.of(-128, 127, -1, 0) },
    });
    expect([...only(scaled, 'y')]).toEqual([-128, 127, -2, 0]);
  });

  it('may be rounded to float32 at every step', () => {
    const next = random(21);
    const tensors = { x: randomArray(6, next), w: randomArray(6, next), b: randomArray(2, next) };
    const exact = only(interpretLayer(linear, { dims: { T: 2 }, tensors }), 'y');
    const single = only(interpretLayer(linear, { dims: { T: 2 }, tensors, precision: 'f32' }), 'y');
    expect([...single]).toEqual([...single.map(Math.fround)]);
    expect(furthest(single, exact)).toBeGreaterThan(0);
    expect(furthest(single, exact)).toBeLessThan(1e-6);
  });

  it('is not read from an earlier run of the same layer', () => {
    const fff = standardLayer('fff', {
      dims: { D: 1, O: 1, trees: 1, depth: 1 },
      without: ['b1', 'threshold'],
      options: { activation: 'identity' },
    });
    const run = (x: readonly number[], w1: ArrayLike<number>): number[] => [
      ...only(interpretLayer(fff, { dims: { T: x.length }, tensors: { x, w1, w2: [1, 1, 1] } }), 'y'),
    ];
    expect([run([1, -1], [1, 10, 100]), run([-1, 1], [1, 10, 100]), run([1, -1], Float64Array.of(2, 10, 100))]).toEqual(
      [
        [101, -11],
        [-11, 101],
        [102, -12],
      ],
    );
  });
});

describe('f16', () => {
  it('decodes every bit pattern as the hardware type does', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    // Node's DataView knows half floats; TypeScript's library of this target doesn't yet.
    const view: DataView & { getFloat16?: (at: number, little: boolean) => number } = new DataView(bits.buffer);
    const native = view.getFloat16?.bind(view);
    if (native === undefined) throw new Error('this Node has no getFloat16');
    const wrong = [...bits].filter((pattern) => !Object.is(decodeHalf(pattern), native(2 * pattern, true)));
    expect(wrong).toEqual([]);
  });
});

describe('refusals', () => {
  const full = { x: [1, 2, 3], ...weights };
  const cases: readonly (readonly [InterpretErrorCode, string, string, () => unknown])[] = [
    ['missing-dim', 'T', 'needs a value for dim T', () => interpretLayer(linear, { tensors: full })],
    [
      'unknown-dim',
      'S',
      'no runtime dim S; it has T',
      () => interpretLayer(linear, { dims: { T: 1, S: 1 }, tensors: full }),
    ],
    ['bad-dim', 'T', 'T of layer linear is 1.5', () => interpretLayer(linear, { dims: { T: 1.5 }, tensors: full })],
    ['bad-dim', 'T', 'T of layer linear is -1', () => interpretLayer(linear, { dims: { T: -1 }, tensors: full })],
    [
      'missing-tensor',
      'b',
      'needs weight b[2]: f32 of shape [2]',
      () => interpretLayer(linear, { dims: { T: 1 }, tensors: { x: full.x, w: full.w } }),
    ],
    [
      'missing-tensor',
      'x',
      'needs input x[T, 3]: f32 of shape [4, 3]',
      () => interpretLayer(linear, { dims: { T: 4 }, tensors: weights }),
    ],
    [
      'unknown-tensor',
      'bias',
      'takes no tensor bias; it takes x, w, b',
      () => interpretLayer(linear, { dims: { T: 1 }, tensors: { ...full, bias: [0] } }),
    ],
    [
      'unknown-tensor',
      'z',
      'computes no tensor z',
      () => interpretLayer(linear, { dims: { T: 1 }, tensors: full, keep: ['z'] }),
    ],
    [
      'wrong-length',
      'x',
      'input x[T, 3] has shape [2, 3], so 6 elements; got 3',
      () => interpretLayer(linear, { dims: { T: 2 }, tensors: full }),
    ],
    [
      'bad-shape',
      'x',
      'less than 2^31 elements',
      () => interpretLayer(linear, { dims: { T: 2 ** 30 }, tensors: full }),
    ],
  ];
  it.each(cases)('%s: %s', (code, subject, text, run) => {
    const error = refused(run);
    expect([error.code, error.subject]).toEqual([code, subject]);
    expect(error.message).toContain(text);
  });

  const embedding = standardLayer('embedding', { dims: { V: 3, D: 2 } });
  const table = [0, 1, 10, 11, 20, 21];

  it('of elements that their storage can not hold', () => {
    for (const id of [0.5, Number.NaN, 2 ** 31]) {
      const error = refused(() => interpretLayer(embedding, { dims: { T: 2 }, tensors: { ids: [0, id], table } }));
      expect([error.code, error.subject]).toEqual(['bad-element', 'ids']);
      expect(error.message).toBe(`tensor ids: element 1 is ${id}, which is no i32`);
    }
    const bytes = layerFromText('layer bytes(T) { input x[T] weight w[1]: i8 output y[t] = x[t] * w[0] }');
    expect(refused(() => interpretLayer(bytes, { dims: { T: 1 }, tensors: { x: [1], w: [128] } })).code).toBe(
      'bad-element',
    );
  });

  it('of an id outside its table, with the place in the layer and in the loops', () => {
    const good = interpretLayer(embedding, { dims: { T: 2 }, tensors: { ids: [2, 0], table } });
    expect([...only(good, 'y')]).toEqual([20, 21, 0, 1]);
    const error = refused(() => interpretLayer(embedding, { dims: { T: 2 }, tensors: { ids: [2, 3], table } }));
    expect([error.code, error.subject]).toEqual(['out-of-range', 'table']);
    expect(error.message).toBe(
      [
        'index 1 of table is 3 at t = 1, d = 0, but the range is 0 to 2',
        'espalier/embedding.layer:5:20',
        '5 |   output y[t, d] = table[ids[t], d]',
        '  |                    ^^^^^^^^^^^^^^^^',
      ].join('\n'),
    );
    expect(
      refused(() => interpretLayer(embedding, { dims: { T: 1 }, tensors: { ids: [-1], table } })).message,
    ).toContain('is -1 at t = 0');
  });

  it('of an index that the checker wrongly took for proven, in strict runs', () => {
    const wrong: LayerIR = layer(
      [],
      [tensor('input', 'x', [2]), tensor('output', 'y', [3])],
      [define('y', [range('i', 3)], at('x', [index('i')]))],
    );
    expect(() => interpretLayer(wrong, { tensors: { x: [1, 2] } })).not.toThrow();
    expect(refused(() => interpretLayer(wrong, { tensors: { x: [1, 2] }, strict: true })).message).toContain(
      'a bug of the checker',
    );
  });
});
