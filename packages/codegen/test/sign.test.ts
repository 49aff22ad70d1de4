/** What is known of integers' signs: constants may stand in an address only where nothing before them can be negative. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { affine } from '../src/kernel-ir/affine.ts';
import * as k from '../src/kernel-ir/build.ts';
import { nonNegativeIn } from '../src/kernel-ir/sign.ts';
import type { Expr, Kernel, Stmt } from '../src/kernel-ir/types.ts';

const int = k.scalar('i32');
const buffer = (name: string, space: 'private' | 'global'): Kernel['buffers'][number] => ({
  name,
  space,
  access: 'read_write',
  storage: 'i32',
  shape: [Sizes.constant(8)],
  layout: rowMajor(1),
});
const kernelOf = (...body: readonly Stmt[]): Kernel => ({
  name: 'k0',
  label: 'test',
  buffers: [buffer('own', 'private'), buffer('other', 'private'), buffer('given', 'global')],
  dims: [],
  body,
  faults: [],
});
const from = (name: string): Expr => k.load(name, [k.i32(0)], int);
const isSure = (kernel: Kernel, name: string): boolean => nonNegativeIn(kernel)(affine(k.index(name)));

describe('a number read from memory', () => {
  const n = k.letStmt('n', from('own'));
  it('of the kernel’s own is not negative where nothing negative is stored', () => {
    const loop = k.loop('i', k.i32(0), k.i32(8), [
      k.store('own', [k.index('i')], k.add(k.mul(from('own'), k.i32(2)), k.i32(1))),
    ]);
    expect(isSure(kernelOf(loop, n), 'n')).toBe(true);
  });
  it.each([
    ['a negative number is stored', k.store('own', [k.i32(1)], k.i32(-1))],
    ['a difference is stored', k.store('own', [k.i32(1)], k.sub(from('own'), k.i32(1)))],
    ['a vector with a negative number is stored', k.store('own', [k.i32(4)], k.lanesOf([1, 2, -3, 4].map(k.i32)))],
    ['what a caller gave is stored', k.store('own', [k.i32(1)], from('given'))],
  ])('may be negative where %s', (_, store) => expect(isSure(kernelOf(n, store), 'n')).toBe(false));
  it('may be negative where it went through other memory', () => {
    const through = [k.store('other', [k.i32(0)], k.i32(-1)), k.store('own', [k.i32(0)], from('other'))];
    expect(isSure(kernelOf(n, ...through), 'n')).toBe(false);
  });
  it('may be negative where a caller gave it', () =>
    expect(isSure(kernelOf(k.letStmt('n', from('given'))), 'n')).toBe(false));
});
