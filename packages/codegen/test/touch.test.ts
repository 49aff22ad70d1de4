/** Weights that are read before they are used: every line of a block's once, where a grid step is the first to want them, and nothing else. */
import { standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import { wasm } from '../src/index.ts';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Expr, Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { VerifyError, verify } from '../src/kernel-ir/verify.ts';
import { visitStatements } from '../src/kernel-ir/walk.ts';
import { pipelineFor } from '../src/pipeline.ts';

type Touch = Extract<Stmt, { kind: 'touch' }>;

const operations: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  min: Math.min,
  max: Math.max,
  floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => ((a % b) + b) % b,
};

/** What an integer expression is worth. */
function worthOf(e: Expr, names: ReadonlyMap<string, number>): number {
  if (e.kind === 'literal') return e.value;
  const value = e.kind === 'ref' || e.kind === 'dim' ? names.get(e.name) : undefined;
  if (value !== undefined) return value;
  const operation = e.kind === 'op' ? operations[e.op] : undefined;
  if (e.kind !== 'op' || operation === undefined) throw new Error(`no value: ${JSON.stringify(e)}`);
  return operation(worthOf(e.args[0] as Expr, names), worthOf(e.args[1] as Expr, names));
}

/** The places a kernel touches in one grid step, by loops and branches of its own. */
function touchedIn(kernel: Kernel, step: number, dims: ReadonlyMap<string, number>): number[] {
  const touched: number[] = [];
  const isTouching = (body: readonly Stmt[]): boolean => {
    let found = false;
    visitStatements(body, (s) => {
      found ||= s.kind === 'touch';
    });
    return found;
  };
  const run = (body: readonly Stmt[], names: Map<string, number>): void => {
    for (const s of body) {
      if (s.kind === 'let' && s.value.type.scalar === 'i32' && s.value.type.lanes === 1)
        names.set(s.name, worthOf(s.value, names));
      else if (s.kind === 'touch') touched.push(worthOf(s.indices[0] as Expr, names) + s.offset);
      else if (s.kind === 'if' && isTouching(s.then)) {
        const c = s.condition as Extract<Expr, { kind: 'op' }>;
        expect(c.op).toBe('eq');
        if (worthOf(c.args[0] as Expr, names) === worthOf(c.args[1] as Expr, names)) run(s.then, names);
      } else if (s.kind === 'for' && s.binding === 'grid') {
        run(s.body, new Map(names).set(s.index, step));
      } else if (s.kind === 'for' && isTouching(s.body))
        for (let i = worthOf(s.from, names); i < worthOf(s.to, names); i += s.step)
          run(s.body, new Map(names).set(s.index, i));
    }
  };
  run(kernel.body, new Map(dims));
  return touched;
}

function manyRows(layer: ReturnType<typeof standardLayer>, wide: boolean): readonly Kernel[] {
  const capabilities = { ...wasm.defaults, 'simd-256': wide };
  return lowerLayer(layer, wasm, capabilities, {})
    .filter((u) => !u.kernel.name.endsWith('_few'))
    .map(({ kernel, schedule }) => {
      let current = kernel;
      for (const pass of pipelineFor(wasm, capabilities, schedule)) {
        current = pass.run(current);
        if (pass.name === 'flatten') break;
      }
      return current;
    });
}

describe.each([false, true])('in 256 bits: %s', (wide) => {
  it.each([
    ['whole blocks', { D: 32, H: 128, O: 64 }],
    ['columns and sums that end within a line', { D: 27, H: 70, O: 37 }],
  ])('%s', (_, dims) => {
    // The argument of gelu stands in it several times: its weights are touched once.
    const [first, second] = manyRows(standardLayer('ff', { dims }), wide) as [Kernel, Kernel];
    for (const [kernel, columns, depth] of [
      [first, dims.H, dims.D],
      [second, dims.O, dims.H],
    ] as const) {
      const panel = wide ? 16 : 8;
      const rows = 150;
      const blockRows = Math.ceil(rows / 66);
      const names = new Map([['T', rows]]);
      const [block] = [64, 32, 16, 8].filter((b) => b >= panel && columns % b === 0);
      const columnBlocks = Math.ceil(columns / (block ?? Math.min(columns, 64)));
      const all: number[] = [];
      for (let step = 0; step < columnBlocks * blockRows; step++) {
        const touched = touchedIn(kernel, step, names);
        if (step % blockRows !== 0) expect(touched).toEqual([]);
        all.push(...touched);
      }
      const lines = all.map((place) => Math.floor(place / 16));
      const size = Math.ceil(columns / panel) * panel * depth;
      // Every line of the packed weights, none twice but where a panel ends within one.
      expect(new Set(lines).size).toBe(Math.ceil(size / 16));
      expect(Math.max(...all)).toBeLessThan(size);
      expect(lines.length - new Set(lines).size).toBeLessThanOrEqual(depth % 2 === 0 ? 0 : columns / panel);
    }
  });
});

it('are loads whose value nobody wants', async () => {
  const layer = standardLayer('linear', { dims: { D: 32, O: 64 } });
  const [kernel] = manyRows(layer, false) as [Kernel];
  expect(printKernel(kernel)).toContain('touch w[');
});

it('must be of places that there are', () => {
  const [kernel] = manyRows(standardLayer('linear', { dims: { D: 32, O: 64 } }), false) as [Kernel];
  const bad: Touch = { kind: 'touch', buffer: 'nowhere', indices: [k.i32(0)], offset: 0 };
  expect(() => verify({ ...kernel, body: [...kernel.body, bad] }, 'test')).toThrow(VerifyError);
});
