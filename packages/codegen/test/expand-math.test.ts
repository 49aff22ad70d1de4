/** The pass expand-math: where the lets go, how they are named, and that nothing but plain arithmetic is left. */
import { describe, expect, it } from 'vitest';
import {
  add,
  assign,
  f32,
  i32,
  index,
  load,
  loop,
  op,
  ref,
  scalar,
  splat,
  store,
  varStmt,
  vector,
} from '../src/kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../src/kernel-ir/types.ts';
import { expressionsOf, namesDefined, visitExpr, visitExpressions, visitStatements } from '../src/kernel-ir/walk.ts';
import { expandMath, expansions } from '../src/passes/expand-math/index.ts';
import { compileLane } from './support/evaluate-lane.ts';

const buffer = (name: string, access: 'read' | 'write'): KernelBuffer => ({
  name,
  space: 'global',
  access,
  storage: 'f32',
  shape: [[{ coefficient: 64, dims: [] }]],
  layout: [{ part: 'whole', axis: 0 }],
});

const kernelOf = (body: readonly Stmt[], dims: readonly string[] = []): Kernel => ({
  name: 'k',
  label: 'test',
  buffers: [buffer('a', 'read'), buffer('y', 'write')],
  dims,
  body,
  faults: [],
});

const opsOf = (kernel: Kernel): ReadonlySet<string> => {
  const ops = new Set<string>();
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'op') ops.add(e.op);
  });
  return ops;
};

/** Every name defined, once per definition, and the uses that no earlier statement of an enclosing block defines. */
function audit(kernel: Kernel): { readonly defined: readonly string[]; readonly undefinedUses: readonly string[] } {
  const defined: string[] = [];
  const undefinedUses: string[] = [];
  const walk = (body: readonly Stmt[], outer: ReadonlySet<string>): void => {
    const scope = new Set(outer);
    const define = (name: string): void => {
      defined.push(name);
      scope.add(name);
    };
    for (const s of body) {
      for (const expression of expressionsOf(s)) {
        visitExpr(expression, (e) => {
          if (e.kind === 'ref' && !scope.has(e.name)) undefinedUses.push(e.name);
        });
      }
      if (s.kind === 'let' || s.kind === 'var') define(s.name);
      if (s.kind === 'for') {
        defined.push(s.index);
        walk(s.body, new Set([...scope, s.index]));
      }
      if (s.kind === 'if') {
        walk(s.then, scope);
        walk(s.otherwise, scope);
      }
    }
  };
  walk(kernel.body, new Set());
  return { defined, undefinedUses };
}

const f32x4 = vector('f32', 4);

describe('expandMath', () => {
  it('expands nested calls on four lanes, inner first, into lets before the statement', () => {
    const value = op('exp', op('tanh', load('a', [index('i')], f32x4)));
    const kernel = expandMath(kernelOf([loop('i', i32(0), i32(64), [store('y', [index('i')], value)], { step: 4 })]));

    expect(kernel.body).toHaveLength(1);
    const outer = kernel.body[0];
    if (outer?.kind !== 'for') throw new Error('the loop is gone');
    expect(outer.body.slice(0, -1).every((s) => s.kind === 'let')).toBe(true);
    expect(outer.body.at(-1)?.kind).toBe('store');

    const names = [...namesDefined(outer.body)];
    expect(names.findLastIndex((n) => n.startsWith('tanh_'))).toBeLessThan(
      names.findIndex((n) => n.startsWith('exp_')),
    );
    const { defined, undefinedUses } = audit(kernel);
    expect(new Set(defined).size).toBe(defined.length);
    expect(undefinedUses).toEqual([]);
    for (const name of ['exp', 'ln', 'tanh', 'erf']) expect(opsOf(kernel)).not.toContain(name);

    visitExpressions(outer.body, (e) => {
      if (e.kind === 'op') {
        expect(e.type.lanes).toBe(4);
        for (const arg of e.args) expect(arg.type.lanes).toBe(4);
      }
    });
    visitStatements(outer.body, (s) => {
      if (s.kind === 'let') expect(s.value.type.lanes).toBe(4);
    });
  });

  it('gives the same value for each lane of a vector as for a scalar', () => {
    const values = [-7.25, -0, 0.3, 1e-40, 88.1, Number.NaN].map(Math.fround);
    for (const [name, expand] of Object.entries(expansions)) {
      let count = 0;
      const fresh = (hint: string): string => `${hint}_${count++}`;
      const one = compileLane(expand(ref('v', scalar('f32')), fresh), 'v', 'fused');
      const four = compileLane(expand(ref('v', f32x4), fresh), 'v', 'fused');
      for (const x of values) expect(four(x), `${name}(${x})`).toBe(one(x));
    }
  });

  it('keeps names unique against buffers, dims, loops, vars and a repeated call', () => {
    const twice = add(op('exp', ref('exp_n', scalar('f32'))), op('exp', load('a', [index('exp_bits')], scalar('f32'))));
    const kernel = expandMath(
      kernelOf(
        [
          varStmt('exp_n', f32(1)),
          varStmt('exp_r_1', f32(1)),
          loop('exp_bits', i32(0), i32(8), [assign('exp_n', twice)]),
          store('y', [i32(0)], op('exp', ref('exp_n', scalar('f32')))),
        ],
        ['exp_r', 'exp_y', 'exp_y_1'],
      ),
    );
    const { defined, undefinedUses } = audit(kernel);
    expect(new Set([...defined, ...kernel.dims]).size).toBe(defined.length + kernel.dims.length);
    expect(undefinedUses).toEqual([]);
    const ys = defined.filter((n) => n.startsWith('exp_y'));
    expect(ys).toHaveLength(3);
  });

  it('puts the lets of a branch inside the branch and those of its condition before it', () => {
    const x = load('a', [i32(0)], scalar('f32'));
    const kernel = expandMath(
      kernelOf([
        {
          kind: 'if',
          condition: op('lt', op('ln', x), f32(0)),
          then: [store('y', [i32(0)], op('erf', x))],
          otherwise: [store('y', [i32(0)], op('tanh', x))],
        },
      ]),
    );
    const last = kernel.body.at(-1);
    if (last?.kind !== 'if') throw new Error('the branch is gone');
    const prefixes = (body: readonly Stmt[]): readonly string[] => [
      ...new Set([...namesDefined(body)].map((n) => n.split('_')[0] ?? '')),
    ];
    expect(prefixes(kernel.body.slice(0, -1))).toEqual(['ln']);
    expect(prefixes(last.then)).toEqual(['erf']);
    expect(prefixes(last.otherwise)).toEqual(['tanh']);
  });

  it('leaves a kernel without calls as it is', () => {
    const body = [store('y', [i32(0)], op('sqrt', load('a', [i32(0)], scalar('f32'))))];
    const kernel = kernelOf(body);
    expect(expandMath(kernel)).toEqual(kernel);
    expect(expandMath(kernel).body[0]).toBe(body[0]);
  });

  it('holds no NaN or infinite literal, which not every target can write', () => {
    const x: Expr = splat(load('a', [i32(0)], scalar('f32')), 4);
    for (const name of ['exp', 'ln', 'tanh', 'erf'] as const) {
      const kernel = expandMath(kernelOf([store('y', [i32(0)], op(name, x))]));
      visitExpressions(kernel.body, (e) => {
        if (e.kind !== 'literal') return;
        expect(Number.isFinite(e.value)).toBe(true);
        expect(e.type.scalar === 'f32' ? Math.fround(e.value) : e.value | 0).toBe(e.value);
      });
    }
  });
});
