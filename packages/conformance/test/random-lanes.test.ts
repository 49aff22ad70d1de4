/**
 * Random programs on machines of lanes: in the simulator, which watches every access, and as CUDA C compiled for the host.
 * The seed is fresh every time and printed with what goes wrong.
 */
import { cuda, wgsl } from '@espalier/codegen';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { expect, it } from 'vitest';
import { reportFailure, runPrograms, summary } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

const COUNT = 500;
const seed = Math.floor(Math.random() * 2 ** 31);

it.each([wgsl, cuda])(
  '$name in the simulator computes what the interpreter computes',
  { timeout: 600_000 },
  async (base) => {
    using device = await openSimulator();
    const { tally, failure } = await runPrograms(device, COUNT, seed, { target: simulatorTarget(base) });
    process.stdout.write(`random programs, ${base.name} in the simulator, seed ${seed}: ${summary(tally)}\n`);
    if (failure !== null) expect.fail(reportFailure(failure, `simulator:${base.name}`));
    expect(tally.agrees + tally.faults).toBe(COUNT);
    expect(tally.agrees).toBeGreaterThan(COUNT / 2);
  },
);

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it('CUDA C on the host computes what the interpreter computes', { timeout: 1_200_000 }, async () => {
    using device = await openHostCuda();
    const { tally, failure } = await runPrograms(device, COUNT, seed, { target: cuda });
    process.stdout.write(`random programs, CUDA C on the host, seed ${seed}: ${summary(tally)}\n`);
    if (failure !== null) expect.fail(reportFailure(failure, 'cuda-host'));
    expect(tally.agrees + tally.faults).toBe(COUNT);
  });
});
