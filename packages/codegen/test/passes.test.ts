/** Passes keep the meaning: of every lowering of small layers, stage by stage, of random programs, and of every packed layout. */
import { packWeight, physicalLength, rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import { wasm } from '../src/index.ts';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Expr, Kernel } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { visitExpressions, visitStatements } from '../src/kernel-ir/walk.ts';
import { flatten } from '../src/passes/flatten.ts';
import { fuseMultiplyAdd } from '../src/passes/fuse-multiply-add.ts';
import { hoist, hoistValues } from '../src/passes/hoist.ts';
import { share, shareValues } from '../src/passes/share.ts';
import { pipelineFor } from '../src/pipeline.ts';
import { applySchedule } from '../src/schedule/apply.ts';
import { legaliseOperations } from '../src/targets/wasm/legalise/operations.ts';
import { clean } from './support/clean.ts';
import { exactLayers, integerTensors } from './support/kernels.ts';
import { randomProgram } from './support/programs.ts';

describe('the stages of a compilation', () => {
  const units = exactLayers.flatMap((layer) => lowerLayer(layer, wasm, wasm.defaults, {}));
  it.each(units.map((u) => [u.kernel.label, u] as const))('%s', (_, { kernel, schedule }) => {
    for (const [T, S] of [
      [0, 1],
      [1, 3],
      [5, 4],
      [50, 9],
    ] as const) {
      const dims = { T, S };
      const tensors = integerTensors(kernel, dims, T + S);
      const expected = clean(kernel, { dims, tensors });
      const packed = applySchedule(
        kernel,
        schedule.filter((s) => s.step === 'pack'),
      );
      let current = packed;
      let flattened = false;
      for (const pass of pipelineFor(
        wasm,
        wasm.defaults,
        schedule.filter((s) => s.step !== 'pack'),
      )) {
        // After this, places are bytes.
        if (pass.name === 'wasm-addresses') break;
        current = pass.run(current);
        flattened ||= pass.name === 'flatten';
        expect(clean(current, { dims, tensors, flattened }), `after ${pass.name}\n${printKernel(current)}`).toEqual(
          expected,
        );
      }
      expect(flattened).toBe(true);
    }
  });
});

describe('random programs', () => {
  const passes = { share, shareValues, hoist, hoistValues, legaliseOperations };
  it.each(Object.entries(passes))('%s', (name, pass) => {
    let changed = 0;
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), fc.nat(3), (seed, length, T) => {
        const program = randomProgram(seed, length);
        verify(program, 'test');
        const tensors = { x: Int32Array.from({ length: 8 }, (_, i) => (i * 5) % 7) };
        const expected = clean(program, { dims: { T }, tensors });
        const next = pass(program);
        verify(next, name);
        if (printKernel(next) !== printKernel(program)) changed++;
        expect(clean(next, { dims: { T }, tensors }), `${printKernel(program)}\nbecomes\n${printKernel(next)}`).toEqual(
          expected,
        );
      }),
      { numRuns: 300 },
    );
    expect(changed).toBeGreaterThan(50);
  });

  it('all of them, twice', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(3), (seed, T) => {
        const program = randomProgram(seed, 40);
        const tensors = { x: Int32Array.from({ length: 8 }, (_, i) => (i * 3) % 5) };
        const next = [shareValues, hoistValues, flatten, hoist, share, hoist, share].reduce<Kernel>(
          (kernel, pass) => pass(kernel),
          program,
        );
        verify(next, 'all');
        expect(clean(next, { dims: { T }, tensors, flattened: true })).toEqual(
          clean(program, { dims: { T }, tensors }),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('flatten', () => {
  /** y[i, j] = w[index] for every i < T, j < 6, over a weight packed along an axis. */
  function reader(rows: number, columns: number, axis: number, block: number, step: number, offset: number): Kernel {
    const shape = [rows, columns].map(Sizes.constant);
    const layout = [
      { part: 'outer', axis, block } as const,
      ...rowMajor(2).filter((d) => d.axis !== axis),
      { part: 'inner', axis, block } as const,
    ];
    const place = (name: string, along: number): Expr =>
      along === axis ? k.add(k.index(name), k.i32(offset)) : k.index(name);
    const loops = [
      { name: 'i', size: axis === 0 ? rows - offset : rows, step: axis === 0 ? step : 1 },
      { name: 'j', size: axis === 1 ? columns - offset : columns, step: axis === 1 ? step : 1 },
    ] as const;
    const copy = k.store(
      'y',
      [k.index('i'), k.index('j')],
      k.load('w', [place('i', 0), place('j', 1)], k.scalar('f32')),
    );
    const nest = [...loops]
      .reverse()
      .reduce((body, l) => [k.loop(l.name, k.i32(0), k.i32(l.size), body, { step: l.step })], [copy] as Kernel['body']);
    const buffer = { space: 'global', storage: 'f32', shape } as const;
    return {
      name: 'k0',
      label: 'reader',
      buffers: [
        { ...buffer, name: 'w', access: 'read', layout },
        { ...buffer, name: 'y', access: 'write', layout: rowMajor(2) },
      ],
      dims: [],
      body: nest,
      faults: [],
    };
  }
  const divisions = (kernel: Kernel): number => {
    let count = 0;
    visitExpressions(kernel.body, (e) => {
      if (e.kind === 'op' && (e.op === 'floordiv' || e.op === 'mod')) count++;
    });
    return count;
  };

  it('finds every element of every packed layout', () => {
    const sizes = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(
        sizes,
        sizes,
        fc.nat(1),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(9),
        (rows, columns, axis, block, step, offset) => {
          const kernel = reader(rows, columns, axis, block, step, Math.min(offset, (axis === 0 ? rows : columns) - 1));
          const tensors = { w: Float32Array.from({ length: rows * columns }, (_, i) => i) };
          expect(clean(flatten(kernel), { tensors, flattened: true })).toEqual(clean(kernel, { tensors }));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('divides only where the place in the block is not known', () => {
    expect(divisions(flatten(reader(16, 16, 0, 8, 8, 0)))).toBe(0);
    expect(divisions(flatten(reader(16, 16, 0, 8, 8, 3)))).toBe(0);
    expect(divisions(flatten(reader(16, 16, 0, 8, 4, 0)))).toBe(2);
    expect(divisions(flatten(reader(16, 16, 1, 8, 16, 8)))).toBe(0);
    expect(divisions(flatten(reader(16, 16, 0, 1, 1, 0)))).toBe(0);
  });

  it('leaves one index and a constant offset', () => {
    const flat = flatten(reader(16, 16, 0, 8, 8, 3));
    visitStatements(flat.body, (s) => {
      if (s.kind === 'store') expect(s.indices).toHaveLength(1);
    });
    expect(printKernel(flat).split('{\n').slice(1).join('{\n')).toMatchInlineSnapshot(`
      "  for i in 0 .. 13 by 8 {
          for j in 0 .. 16 {
            y[((16 * i) + j)] = w[((16 * i) + (8 * j)) + 3]
          }
        }
      }
      "
    `);
  });

  it('agrees with packWeight about padding', () => {
    const layout = [
      { part: 'outer', axis: 0, block: 4 } as const,
      { part: 'whole', axis: 1 } as const,
      { part: 'inner', axis: 0, block: 4 } as const,
    ];
    const packed = new Float32Array(physicalLength(layout, [5, 2]));
    packWeight(
      Float32Array.from({ length: 10 }, (_, i) => i + 1),
      [5, 2],
      layout,
      packed,
    );
    expect([...packed]).toEqual([1, 3, 5, 7, 2, 4, 6, 8, 9, 0, 0, 0, 10, 0, 0, 0]);
  });
});

describe('fuse-multiply-add', () => {
  const f = (name: string): Expr => k.ref(name, k.scalar('f32'));
  const n = (name: string): Expr => k.ref(name, k.scalar('i32'));
  const fused = (value: Expr): string => {
    const kernel: Kernel = { name: 'k0', label: '', buffers: [], dims: [], body: [k.letStmt('r', value)], faults: [] };
    return printKernel(fuseMultiplyAdd(kernel)).split('let r = ')[1]?.split('\n')[0] ?? '';
  };
  it.each([
    ['a·b + c', k.add(k.mul(f('a'), f('b')), f('c')), 'fma(a, b, c)'],
    ['c + a·b', k.add(f('c'), k.mul(f('a'), f('b'))), 'fma(a, b, c)'],
    ['a·b + c·d', k.add(k.mul(f('a'), f('b')), k.mul(f('c'), f('d'))), 'fma(c, d, (a * b))'],
    ['a·b + c·d + e', k.add(k.add(k.mul(f('a'), f('b')), k.mul(f('c'), f('d'))), f('e')), '(fma(c, d, (a * b)) + e)'],
    ['a·b − c stays', k.sub(k.mul(f('a'), f('b')), f('c')), '((a * b) - c)'],
    ['integers stay', k.add(k.mul(n('a'), n('b')), n('c')), '((a * b) + c)'],
    [
      'vectors',
      k.add(k.mul(k.splat(f('a'), 4), k.splat(f('b'), 4)), k.splat(f('c'), 4)),
      'fma(splat4(a), splat4(b), splat4(c))',
    ],
  ])('%s', (_, value, expected) => {
    expect(fused(value)).toBe(expected);
  });
});
