/** Tunings as files may hold them: what leaves a number of rows without its kernel, or names no form, is refused before anything is made of it. */
import { layerFromText, standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import {
  CompileError,
  compile,
  cuda,
  partition,
  shapeOf,
  type Tuning,
  tuned,
  tuningProblem,
  type Variant,
  wasm,
  wgsl,
} from '../src/index.ts';

const blocks = { form: 'blocks', rows: 8, columns: 8, depth: 8 };
const few = { name: 'few', from: 0, below: 4, form: blocks };
const rest = { name: '', from: 4, form: { form: 'rows', together: 2 } };

describe('a tuning', () => {
  it.each([
    [{}],
    [{ s: [{ ...rest, from: 0 }] }],
    [{ s: [few, rest] }],
    [
      {
        s: [{ ...few, form: { ...blocks, registers: { rows: 2, columns: 4 }, touch: { columns: 1, depth: 8 } } }, rest],
      },
    ],
  ])('may be %j', (shapes) => expect(tuningProblem(shapes)).toBe(null));

  it.each([
    [null, 'has no variants by shape'],
    [{ s: {} }, '"s" has no variants'],
    [{ s: [] }, '"s" has no variants'],
    [{ s: [1] }, 'variant 1 of "s" has no name'],
    [{ s: [rest] }, 'variant 1 of "s" begins at 4 rows; those from 0 on have none'],
    [{ s: [few] }, '"s" has no variant for 4 rows and more'],
    [{ s: [few, { ...rest, from: 5 }] }, 'variant 2 of "s" begins at 5 rows; those from 4 on have none'],
    [{ s: [few, { ...rest, name: 'few' }] }, 'variant 2 of "s" is called "few", as another is'],
    [{ s: [{ ...rest, from: 0 }, rest] }, 'variant 2 of "s" is called "", as another is'],
    [{ s: [{ ...few, below: 0 }, rest] }, 'variant 1 of "s" ends before it begins'],
    [{ s: [{ ...few, below: 2.5 }, rest] }, 'variant 1 of "s" ends before it begins'],
    [{ s: [{ name: '', from: 0 }] }, 'variant 1 of "s" has no form'],
    [{ s: [{ name: '', from: 0, form: { form: 'bogus' } }] }, /has the form "bogus"; there are blocks, tile, elements/],
    [{ s: [{ name: '', from: 0, form: { form: 'toString' } }] }, /has the form "toString"/],
    [
      { s: [{ name: '', from: 0, form: { ...blocks, rows: 'x' } }] },
      /form blocks whose rows is not a whole number from 1/,
    ],
    [
      { s: [{ name: '', from: 0, form: { ...blocks, rows: 0 } }] },
      /form blocks whose rows is not a whole number from 1/,
    ],
    [{ s: [{ name: '', from: 0, form: { ...blocks, colums: 3 } }] }, /form blocks with colums, which that has not/],
    [{ s: [{ name: '', from: 0, form: { ...blocks, touch: { depth: 0 } } }] }, /whose touch is not an object of whole/],
    [{ s: [{ name: '', from: 0, form: { ...rest.form, clamped: 1 } }] }, /whose clamped is not true or false/],
  ])('is refused as %j', (shapes, problem) => {
    const found = tuningProblem(shapes);
    if (typeof problem === 'string') expect(found).toBe(problem);
    else expect(found).toMatch(problem);
  });

  it('that leaves rows without a kernel makes no target', () => {
    const tuning: Tuning = { version: 1, target: 'wasm', capabilities: {}, shapes: { s: [rest as Variant] } };
    expect(() => tuned(wasm, tuning)).toThrow(CompileError);
    expect(() => tuned(wasm, tuning)).toThrow('C004: the tuning can\'t be used: variant 1 of "s" begins at 4 rows');
  });

  it.each<[string, Variant['form']]>([
    ['norm', { form: 'grouped', chunk: 8, first: 2, block: 4, together: 2 }],
    ['norm', { form: 'sorted', first: 1, stretches: 4, subgroups: 2, lanes: 32 }],
    ['norm', { form: 'subtrees', levels: 2, subgroups: 1, lanes: 32, team: 8 }],
    ['norm', { form: 'blocks', rows: 4, columns: 8, depth: 8 }],
    ['dense', { form: 'grouped', chunk: 8, first: 2, block: 4, together: 2 }],
  ])('whose form does not suit %s is refused when the layer is compiled: %j', async (name, form) => {
    const texts: Readonly<Record<string, string>> = {
      norm: 'layer norm(T) { input x[T, 8] output y[t, o in 8] = x[t, o] / (sum i: x[t, i]) }',
      dense: 'layer dense(T) { input x[T, 8] weight w[8, 8] output y[t, o in 8] = sum i: x[t, i] * w[o, i] }',
    };
    const layer = layerFromText(texts[name] ?? '');
    const shapes = Object.fromEntries(partition(layer).map((unit) => [shapeOf(unit), [{ name: '', from: 0, form }]]));
    const target = tuned(wasm, { version: 1, target: 'wasm', capabilities: {}, shapes });
    await expect(compile(layer, { target })).rejects.toThrow(`can't be computed in the form "${form.form}"`);
    await expect(compile(layer, { target })).rejects.toMatchObject({ code: 'C005' });
  });

  it.each([
    ['ff', { D: 24, H: 40, O: 16 }],
    ['fff', { D: 24, O: 16, trees: 1, depth: 5 }],
    ['leaf_fff', { D: 24, W: 3, O: 16, depth: 4 }],
    ['attention', {}],
  ])('made of what the targets themselves choose for %s is right', (name, dims) => {
    const layer = standardLayer(name, { dims });
    for (const target of [wasm, wgsl, cuda])
      for (const unit of partition(layer)) {
        const shapes = { [shapeOf(unit)]: target.variants(unit, target.defaults, layer) };
        expect(tuningProblem(shapes), `${target.name}: ${shapeOf(unit)}`).toBe(null);
      }
  });
});
