/** Constants from memory, and rounding without its instruction: the same numbers, where there is something to gain. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Expr, Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { loadConstants } from '../src/targets/wasm/legalise/constants.ts';
import { pairRounding } from '../src/targets/wasm/legalise/pair-rounding.ts';
import { clean } from './support/clean.ts';

const COUNT = 64;
const lanes = 4;
const vector = k.vector('f32', lanes);

/** y[i] = f(x[i]), vector by vector, in one loop outside any grid, so that memory written before it is there. */
function elementwise(f: (x: Expr) => Expr): Kernel {
  const at = k.index('i');
  const body = [k.store('y', [at], f(k.load('x', [at], vector)))];
  const buffer = (name: string, access: 'read' | 'write'): Kernel['buffers'][number] => ({
    ...{ name, space: 'global', access, storage: 'f32' },
    ...{ shape: [Sizes.constant(COUNT)], layout: rowMajor(1) },
  });
  return {
    name: 'k0',
    label: 'test',
    buffers: [buffer('x', 'read'), buffer('y', 'write')],
    dims: [],
    body: [k.loop('i', k.i32(0), k.i32(COUNT), body, { step: lanes })],
    faults: [],
  };
}

const real = (value: number): Expr => k.splat(k.f32(value), lanes);
const integer = (value: number): Expr => k.splat(k.i32(value), lanes);
const input = Float32Array.from({ length: COUNT }, (_, i) => (i - 31) * 1.37);
const run = (kernel: Kernel): ArrayLike<number> => {
  verify(kernel, 'test');
  const { outputs } = clean(kernel, { dims: {}, tensors: { x: input }, flattened: true });
  return outputs['y'] as ArrayLike<number>;
};

describe('constants', () => {
  /** A polynomial of this degree, and some arithmetic on bits: two constants used twice, a zero, a shift's count. */
  const mixed = (degree: number) => (x: Expr) => {
    const sum = Array.from({ length: degree }, (_, i) => real(i + 0.5)).reduce((s, c) => k.op('fma', s, x, c), real(0));
    const bits = k.op('shl', k.op('bit_and', k.op('bits_of', sum), integer(0x7fffffff)), integer(1));
    const half = k.op('bit_or', k.op('shr_u', bits, integer(1)), integer(-0x80000000));
    return k.op('mul', k.op('from_bits', half), k.op('add', real(0.5), real(-0)));
  };
  it('come from memory, each from one place', () => {
    const kernel = elementwise(mixed(9));
    const changed = loadConstants(kernel);
    expect(changed.buffers.slice(2).map((b) => [b.name, b.space, b.storage, b.shape.map(Sizes.constantOf)])).toEqual([
      // 0.5 stands in two places; −0 is another number than 0.
      ['reals', 'private', 'f32', [10]],
      ['integers', 'private', 'i32', [2]],
    ]);
    const text = printKernel({ ...changed, body: changed.body.filter((s: Stmt) => s.kind === 'for') });
    expect(text).toContain('splat4(0.0)');
    expect(text.match(/splat4\(1\)/g)).toHaveLength(2);
    expect([...text.matchAll(/splat4\((-?[\d.]+)\)/g)].map((m) => m[1]).sort()).toEqual(['0.0', '1', '1']);
    expect(run(changed)).toEqual(run(kernel));
  });
  it('stay where they are few', () => {
    const kernel = elementwise(mixed(3));
    expect(loadConstants(kernel)).toBe(kernel);
  });
});

describe('rounding for an engine that fuses', () => {
  it('is to the nearest, ties to even, and nothing is rounded by an instruction', () => {
    const places = [0.5, 1.5, 2.5, -0.5, -1.5, 3.49, -3.51, 151.5, -151.5, 2 ** 22 - 0.5, 1 - 2 ** 22, 0, -0, 1e-30];
    input.set(places);
    const kernel = elementwise((x) => k.op('nearest', x));
    const changed = pairRounding(kernel);
    expect(printKernel(changed)).not.toContain('nearest');
    const [before, after] = [run(kernel), run(changed)];
    for (let i = 0; i < COUNT; i++) expect((after[i] as number) + 0).toBe((before[i] as number) + 0);
    expect(after[1]).toBe(2);
    expect(after[2]).toBe(2);
  });
  it('leaves scalars alone', () => {
    const kernel = elementwise((x) => k.splat(k.op('nearest', k.extract(x, 0)), lanes));
    expect(printKernel(pairRounding(kernel))).toBe(printKernel(kernel));
  });
});
