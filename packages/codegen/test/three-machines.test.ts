/**
 * One Kernel IR for three kinds of machine: dense layer, tree and attention by hand for threads with vectors, for lanes in
 * subgroups, and for matrix units. Each is well-formed, prints as its golden text, and computes what the interpreter does.
 */
import { interpretLayer, type LayerIR, standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Kernel } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { formatFinding, simulate } from '../src/simulate/index.ts';
import { expectGolden } from './support/golden.ts';
import { random } from './support/kernels.ts';
import { attentionOnLanes, denseOnLanes, denseOnMatrixUnits, treeOnLanes } from './support/lane-kernels.ts';
import { attentionOnSimd, denseOnSimd, treeOnSimd } from './support/simd-kernels.ts';

const next = random(0x5eed);
const floats = (length: number): Float32Array => Float32Array.from({ length }, () => next() * 2 - 1);

interface Case {
  readonly kernel: Kernel;
  readonly layer: LayerIR;
  readonly tensors: (dims: Readonly<Record<string, number>>) => Record<string, Float32Array | Int32Array>;
  readonly dims: readonly Readonly<Record<string, number>>[];
  /** How far a result may be from the interpreter's. */
  readonly tolerance: number;
}

const D = 12;
const O = 40;
const dense = {
  layer: standardLayer('linear', { dims: { D, O } }),
  tensors: ({ T = 0 }) => ({ x: floats(T * D), w: floats(O * D), b: floats(O) }),
  dims: [{ T: 0 }, { T: 1 }, { T: 33 }],
} satisfies Partial<Case>;
const [trees, depth] = [2, 3];
const nodes = 2 ** (depth + 1) - 1;
const tree = {
  layer: standardLayer('fff', { dims: { D, O, trees, depth }, without: ['threshold'] }),
  tensors: ({ T = 0 }) => ({
    x: floats(T * D),
    w1: floats(trees * nodes * D),
    b1: floats(trees * nodes),
    w2: floats(trees * nodes * O),
  }),
  dims: [{ T: 0 }, { T: 1 }, { T: 6 }],
} satisfies Partial<Case>;
const [heads, width] = [2, 36];
const attention = {
  layer: standardLayer('attention', { dims: { heads, width } }),
  tensors: ({ B = 0, S = 0 }) => {
    const size = B * S * heads * width;
    return {
      q: floats(size),
      k: floats(size),
      v: floats(size),
      mask: Int32Array.from({ length: B * S }, () => +(next() < 0.7)),
      scale: Float32Array.of(1 / Math.sqrt(width)),
    };
  },
  dims: [
    { B: 0, S: 3 },
    { B: 1, S: 1 },
    { B: 2, S: 35 },
  ],
} satisfies Partial<Case>;

const cases: readonly Case[] = [
  { ...dense, kernel: denseOnSimd(D, O), tolerance: 1e-5 },
  { ...dense, kernel: denseOnLanes(D, O), tolerance: 1e-5 },
  // tf32 keeps 10 bits of each operand: 12 products of numbers below 1, each off by at most 2⁻¹⁰.
  { ...dense, kernel: denseOnMatrixUnits(D, O), tolerance: D * 2 ** -10 },
  { ...tree, kernel: treeOnSimd(D, O, trees, depth), tolerance: 1e-5 },
  { ...tree, kernel: treeOnLanes(D, O, trees, depth), tolerance: 1e-5 },
  { ...attention, kernel: attentionOnSimd(heads, width), tolerance: 1e-5 },
  { ...attention, kernel: attentionOnLanes(heads, width), tolerance: 1e-5 },
];

describe.each(cases.map((c) => [c.kernel.name, c] as const))(
  '%s',
  (name, { kernel, layer, tensors, dims, tolerance }) => {
    it('is well-formed', () => {
      expect(() => verify(kernel, 'test')).not.toThrow();
    });

    it('prints', () => {
      expectGolden(`three-machines/${name}.txt`, printKernel(kernel));
    });

    it.each(dims)('computes what the interpreter does at %o', (at) => {
      const given = tensors(at);
      const expected = interpretLayer(layer, { dims: at, tensors: given })['y'];
      const { outputs, findings } = simulate(kernel, { dims: at, tensors: given });
      expect(findings.map(formatFinding)).toEqual([]);
      const found = outputs['y'];
      expect(found?.length).toBe(expected?.length);
      // NaN, a result that was never stored, is far from everything.
      const apart = [...(expected ?? [])]
        .map((y, i) => Math.abs(y - (found?.[i] ?? Number.NaN)))
        .filter((d) => !(d <= tolerance));
      expect(apart).toEqual([]);
    });
  },
);
