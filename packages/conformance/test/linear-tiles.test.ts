/**
 * Dense layers 256 wide and 512 wide with every tile that CUDA has for them, whatever number of rows it is meant for, and as they are
 * chosen. Where operands are rounded on their way into matrix units the interpreter is given them rounded, by other means,
 * so that results need be no farther off than f32 makes them. In the simulator and as CUDA C for the host.
 */
import { compile, cuda, type Form, type Target } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { type Device, loadLayer } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { expect, it } from 'vitest';
import { compareOutputs, poisoned, type Reference, randomTensors, referenceOf } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';
import { forced } from './support/forced.ts';

const layer = standardLayer('linear', { dims: { D: 256, O: 512 } });
const counts = [1, 7, 9, 70];
/** From so many rows on a product of this width is one of tiles, where matrix units may be used. */
const TILED = 8;

type Precision = 'f32' | 'tf32' | 'bf16' | 'f16';
const capabilitiesOf: Readonly<Record<Precision, Readonly<Record<string, boolean>>>> = {
  f32: {},
  tf32: { 'tensor-cores': true },
  bf16: { 'tensor-bf16': true },
  f16: { 'tensor-f16': true },
};

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
/** Keeps so many bits of an f32's fraction, to nearest; there are no ties (`untied`). */
function toBits(x: number, kept: number): number {
  float[0] = x;
  const dropped = 2 ** (23 - kept);
  bits[0] = Math.floor(((bits[0] as number) + dropped / 2) / dropped) * dropped;
  return float[0] as number;
}
/** The number with the last bit of its f32 set: halfway between two numbers of fewer bits it is not. */
function untied(x: number): number {
  float[0] = x;
  bits[0] = (bits[0] as number) | 1;
  return float[0] as number;
}
const rounders: Readonly<Record<Precision, (x: number) => number>> = {
  f32: (x) => x,
  tf32: (x) => toBits(x, 10),
  bf16: (x) => toBits(x, 7),
  f16: (x) => Math.f16round(x),
};

/** Inputs, weights, and what they give when x and w are rounded. */
function caseOf(
  T: number,
  precision: Precision,
): Reference & { readonly given: Readonly<Record<string, Float32Array>> } {
  const seed = 300;
  const weights = randomTensors(layer, { T: 1 }, seed);
  const { x } = randomTensors(layer, { T }, seed + T);
  const given = Object.fromEntries(
    Object.entries({ ...weights, x: x as Float32Array }).map(([name, data]) => [
      name,
      Float32Array.from(data as Float32Array, untied),
    ]),
  );
  const round = rounders[precision];
  const rounded = Object.fromEntries(
    Object.entries(given).map(([name, data]) => [name, name === 'x' || name === 'w' ? data.map(round) : data]),
  );
  return { ...referenceOf(layer, { T }, rounded), given };
}

async function check(device: Device, target: Target, precision: Precision, isAlways: boolean): Promise<void> {
  const artefact = await compile(layer, { target, capabilities: capabilitiesOf[precision], verify: 'each' });
  const { x: _, ...weights } = caseOf(1, 'f32').given;
  using loaded = await loadLayer(poisoned(device), artefact, weights);
  for (const T of counts) {
    const reference = caseOf(T, isAlways || T >= TILED ? precision : 'f32');
    const outputs = await loaded.run({ x: reference.given['x'] as Float32Array });
    expect(compareOutputs(reference, outputs), `${precision}, ${T} rows`).toBeNull();
    if (precision === 'f32' || !(isAlways || T >= TILED)) continue;
    // Not as near to what unrounded operands give: else nothing was rounded.
    expect(compareOutputs(caseOf(T, 'f32'), outputs), `${precision}, ${T} rows, rounded`).not.toBeNull();
  }
}

const tilesIn = (forms: readonly Form[]): readonly Form[] => forms.filter((f) => f.form === 'tile');
const cases = (['f32', 'tf32', 'bf16', 'f16'] as const).flatMap((precision) =>
  ['as chosen', 0, 1, 2, 3].map((n) => [precision, n] as const),
);
const targetOf = (base: Target, n: string | number, seen: () => void): Target => {
  if (typeof n === 'string') return base;
  return forced(base, (forms) => tilesIn(forms)[n], seen);
};

const run = async (device: Device, base: Target, precision: Precision, n: string | number): Promise<void> => {
  let forcedForms = 0;
  await check(
    device,
    targetOf(base, n, () => forcedForms++),
    precision,
    typeof n === 'number',
  );
  // There are four tiles for each precision at this width.
  expect(forcedForms > 0).toBe(typeof n === 'number');
};

it.each(cases)('%s, tile %s, in the simulator', { timeout: 60_000 }, async (precision, n) => {
  using device = await openSimulator();
  await run(device, simulatorTarget(cuda), precision, n);
});

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it.each(cases)('%s, tile %s, as CUDA C on the host', { timeout: 60_000 }, async (precision, n) => {
    using device = await openHostCuda();
    await run(device, cuda, precision, n);
  });
});
