/**
 * Halves that kernels take to be finite. Where no instruction widens f16, reading infinities and NaN too would nearly double what a
 * number costs, and a weight has none unless something went wrong before: a number beyond 65504 was converted to f16, or training
 * diverged. So such kernels read finite ones only, their artefact says so (`Binding.finite`), and others are refused here.
 */
import { RuntimeError } from './errors.ts';
import type { WeightTensor } from './tensor-data.ts';

/** All five bits of f16's exponent are set in infinities and NaN, and in nothing else. */
const EXPONENT = 0x7c00;
const FRACTION = 0x03ff;
const SIGN = 0x8000;

const nameOf = (bits: number): string =>
  (bits & FRACTION) !== 0 ? 'NaN' : (bits & SIGN) !== 0 ? '-Infinity' : 'Infinity';

/** Indices along each axis of element `at`, as "[3, 17]". */
function placeIn(shape: readonly number[], at: number): string {
  let rest = at;
  const indices = shape.toReversed().map((size) => {
    const index = rest % size;
    rest = Math.floor(rest / size);
    return index;
  });
  return `[${indices.toReversed().join(', ')}]`;
}

/** Throws RuntimeError R031 where `weight`, which `step` takes, holds bits of f16 that are an infinity or NaN: how many, and the first. */
export function checkFinite(name: string, { storage, shape, data }: WeightTensor, step: string): void {
  if (storage !== 'f16') return;
  let found = 0;
  let first = 0;
  for (let i = data.length - 1; i >= 0; i--) {
    if (((data[i] as number) & EXPONENT) !== EXPONENT) continue;
    found++;
    first = i;
  }
  if (found === 0) return;
  throw new RuntimeError(
    'R031',
    `weight ${name}, which ${step} takes, has ${found === 1 ? 'an element' : `${found} elements`} that ${found === 1 ? 'is' : 'are'} no finite number: ` +
      `${nameOf(data[first] as number)} at ${placeIn(shape, first)}; f16 holds numbers up to 65504, ` +
      'so correct the checkpoint, or store the weight as f32 and compile the layer for that',
  );
}
