/** Kernels as text: what is read is what was written, numbers that JSON lacks among it. */
import { compile, type Kernel, kernelIr as k } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { parseKernels, printKernels, simulatorTarget } from '../src/index.ts';

const kernelOf = (values: readonly number[]): Kernel => ({
  name: 'k0',
  label: 'numbers',
  buffers: [],
  dims: [],
  faults: [],
  body: values.map((value, i) => k.letStmt(`v${i}`, k.f32(value))),
});

describe('kernels as text', () => {
  it('keep every number', () => {
    const kernels = [kernelOf([0, -0, 1.5, Infinity, -Infinity, Number.NaN, 3.4028234663852886e38])];
    expect(parseKernels(printKernels(kernels, ['a header']), 'numbers')).toEqual(kernels);
  });

  it('are what the compiler made', async () => {
    const attention = standardLayer('attention', { dims: { heads: 2, width: 4 } });
    const { source, manifest } = await compile(attention, { target: simulatorTarget() });
    const kernels = parseKernels(source, 'attention');
    expect(printKernels(kernels, (JSON.parse(source) as { header: string[] }).header)).toBe(source);
    expect(kernels.map(({ name }) => name)).toEqual(manifest.launches.map(({ kernel }) => kernel));
    for (const kernel of kernels) expect(kernel.place).toMatch(/attention\.layer:\d+:\d+/);
  });

  it.each([
    ['', /JSON/],
    ['{}', /its format is undefined/],
    ['null', /its format is undefined/],
    ['{"format":"espalier-kernels","version":2}', /its version is 2, not 1/],
    ['{"format":"espalier-kernels","version":1,"kernels":[{}]}', /its kernels are not complete/],
  ])('refuse %j', (text, message) => {
    expect(() => parseKernels(text, 'numbers')).toThrow(message);
    expect(() => parseKernels(text, 'numbers')).toThrow(/^A010: the source of numbers/);
  });
});
