/**
 * Halves that kernels take to be finite. Where no instruction widens f16, reading infinities and NaN too would nearly double what a
 * number costs, and a weight has none unless something went wrong before: a number beyond 65504 was converted to f16, or training
 * diverged. So such kernels read finite ones only, their artefact says so (`Binding.finite`), and others are refused here.
 */
import { RuntimeError } from './errors.ts';
import type { WeightTensor } from './tensor-data.ts';

/** All five bits of f16's exponent, set in infinities and NaN, and in nothing else. */
const EXPONENT = 0x7c00;

/** Throws RuntimeError R031, naming the first, where f16 elements of `weight`, which `step` takes, are infinities or NaN. */
export function checkFinite(name: string, { storage, shape, data }: WeightTensor, step: string): void {
  if (storage !== 'f16') return;
  let at = 0;
  while (at < data.length && ((data[at] as number) & EXPONENT) !== EXPONENT) at++;
  if (at === data.length) return;
  const bits = data[at] as number;
  const indices = shape.map((size, axis) => Math.floor(at / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % size);
  throw new RuntimeError(
    'R031',
    `weight ${name} is ${bits & 1023 ? 'NaN' : bits >> 15 ? '-Infinity' : 'Infinity'} at [${indices.join(', ')}], and ${step} ` +
      'takes finite f16 only; correct the checkpoint (f16 ends at 65504), or compile the layer for f32 weights',
  );
}
