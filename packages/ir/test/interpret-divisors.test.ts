/** Sizes that divide: what is below 1 when it runs ends the run, and only where it is computed. */
import { expect, it } from 'vitest';
import { InterpretError, interpretLayer, layerFromText } from '../src/index.ts';

const run = (value: string, T: number, S: number) => {
  const layer = layerFromText(`layer a(T, S) { input x[T], z[S] output y[t] = x[t] + (${value}) }`);
  const tensors = { x: Float32Array.from({ length: T }, (_, i) => i), z: new Float32Array(S) };
  return [...(interpretLayer(layer, { dims: { T, S }, tensors })['y'] ?? [])];
};

it.each([
  ['f32(t // (S - 3))', 3, 0],
  ['f32(t % (S - 3))', 1, -2],
  ['f32(t // S)', 0, 0],
])('%s with S = %i is told where it stands', (value, S, divisor) => {
  expect(() => run(value, 2, S)).toThrow(InterpretError);
  expect(() => run(value, 2, S)).toThrow(expect.objectContaining({ code: 'bad-divisor' }));
  expect(() => run(value, 2, S)).toThrow(`the divisor is ${divisor} at t = 0; it must be 1 or more`);
});

it('divides by what is 1 or more', () => {
  expect(run('f32(t // (S - 3))', 5, 5)).toEqual([0, 1, 3, 4, 6]);
});

it('says nothing of what is not computed', () => {
  expect(run('f32(t // S)', 0, 0)).toEqual([]);
  expect(run('if S > 0 then f32(t // S) else 7.0', 2, 0)).toEqual([7, 8]);
  expect(run('sum s: z[s] * f32(t // S)', 2, 0)).toEqual([0, 1]);
});
