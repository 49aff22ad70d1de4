/** The step `pass`: which accesses a compiler may tell caches not to keep, and what is made of that where a machine has hints. */
import { standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compile, cuda, wasm } from '../src/index.ts';
import { applyStep } from '../src/schedule/apply.ts';
import { clean } from './support/clean.ts';
import { exactKernels, integerTensors } from './support/kernels.ts';

const tree = standardLayer('fff', { dims: { D: 256, O: 256, trees: 1, depth: 3 } });
const bodyOf = (source: string, kernel: string): string => source.slice(source.indexOf(` ${kernel}(`));

describe('rows that walk a tree', () => {
  it('come and go past the caches, and its nodes stay', async () => {
    const { source } = await compile(tree, { target: cuda, verify: 'each' });
    const walk = bodyOf(source, 'k0');
    expect(walk).toMatch(/pass4\(&x\[/);
    expect(walk).toMatch(/put_by4\(&y\[/);
    expect(walk).not.toMatch(/pass\d\(&w/);
    expect(walk).toMatch(/load4\(&w1\[/);
  });

  it('are read as ever where there are few of them', async () => {
    const { source } = await compile(tree, { target: cuda });
    expect(source.slice(source.indexOf(' k0_few('), source.indexOf(' k0('))).not.toMatch(/pass|put_by/);
  });

  it('are unchanged on a machine without hints', async () => {
    const given = await compile(tree, { target: wasm });
    expect(given.source).not.toMatch(/pass/);
  });
});

describe('the step', () => {
  const [kernel] = exactKernels;
  if (kernel === undefined) throw new Error('no kernel');
  const reads = kernel.buffers.find((b) => b.space === 'global' && b.access === 'read');

  it('changes no result', () => {
    const tensors = integerTensors(kernel, { T: 5 }, 3);
    const marked = applyStep(kernel, { step: 'pass', buffer: reads?.name ?? '' });
    expect(marked).not.toEqual(kernel);
    expect(clean(marked, { dims: { T: 5 }, tensors })).toEqual(clean(kernel, { dims: { T: 5 }, tensors }));
  });

  it('refuses what is not there', () => {
    expect(() => applyStep(kernel, { step: 'pass', buffer: 'nowhere' })).toThrow(/there is no buffer nowhere/);
  });
});
