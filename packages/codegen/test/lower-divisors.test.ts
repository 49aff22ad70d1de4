/** Which divisions by sizes are checked when they run: those that neither their dims nor the loops around prove to be 1 or more. */
import { layerFromText } from '@espalier/ir';
import { expect, it } from 'vitest';
import { compile, wasm } from '../src/index.ts';
import { uncheckedDivisions } from '../src/lower/divisors.ts';

const checkedIn = (text: string): number => uncheckedDivisions(layerFromText(text)).size;

it.each([
  ['a number', 't // 4', 0],
  ['the size of the axis', 't % T', 0],
  ['a factor of an axis around', 's // S', 0],
  ['more than an axis around', 't // (T + 2)', 0],
  ['a dim and one', 't // (R + 1)', 0],
  ['a dim that nothing loops over', 't // R', 1],
  ['an axis less something', 't // (T - 1)', 1],
  ['a dim inside a sum over it', 'sum r in R: t // R', 0],
  ['a dim beside a sum over it', '(sum r in R: r) + t // R', 1],
])('by %s', (_, value, count) => {
  const text = `layer a(T, R, B, S) { input x[T, B * S], z[R] output y[t, s in B * S] = x[t, s] + z[0] + f32(${value}) }`;
  expect(checkedIn(text)).toBe(count);
});

it('puts a check in front of the division alone, and keeps the machine from dividing by less', async () => {
  const layer = layerFromText('layer a(T, R) { input x[T], z[R] output y[t] = x[t] + z[0] + f32(t // R) }');
  const { manifest } = await compile(layer, { target: wasm });
  expect(manifest.faults.map((f) => f.message)).toContain('R is below 1 and divides');
  const proven = layerFromText('layer a(T, R) { input x[T, R] output y[t, r] = x[t, r] + f32(t // R) }');
  expect((await compile(proven, { target: wasm })).manifest.faults).toEqual([]);
});
