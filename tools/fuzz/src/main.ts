/**
 * `pnpm fuzz [count] [seed] [device]`: random programs on a device, with progress. Ends with exit code 1 and the smallest
 * failing program it found when one is wrong, with 2 when it is called wrongly.
 */
import { cuda, type Target, wasm, wgsl } from '@espalier/codegen';
import { reportFailure, runPrograms, summary } from '@espalier/conformance';
import type { Device } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { openWasmTarget } from '@espalier/runtime-wasm';

interface Ground {
  readonly target: Target;
  readonly open: () => Promise<Device>;
}

/** Where programs run, under the names that `validate --targets` has for them. */
const grounds = new Map<string, Ground>([
  ['wasm', { target: wasm, open: () => openWasmTarget('wasm') }],
  ['simulator:wgsl', { target: simulatorTarget(wgsl), open: openSimulator }],
  ['simulator:cuda', { target: simulatorTarget(cuda), open: openSimulator }],
  ['cuda-host', { target: cuda, open: openHostCuda }],
]);

const [countText = '10000', seedText = String(Math.floor(Math.random() * 2 ** 31)), name = 'wasm'] =
  process.argv.slice(2);
const [count, seed] = [Number(countText), Number(seedText)];
const ground = grounds.get(name);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed) || ground === undefined) {
  const names = [...grounds.keys()].join(', ');
  process.stderr.write(
    `usage: pnpm fuzz [count] [seed] [device]; count and seed are whole numbers, the device one of ${names}\n`,
  );
  process.exit(2);
}
process.stdout.write(`${count} programs, ${name}, seed ${seed}\n`);
using device = await ground.open();
let shown = 0;
const { tally, failure } = await runPrograms(device, count, seed, {
  target: ground.target,
  progress: (t) => {
    if (Date.now() - shown < 2000) return;
    shown = Date.now();
    process.stdout.write(`${summary(t)}\n`);
  },
});
process.stdout.write(`${summary(tally)}\n`);
if (failure !== null) {
  process.stderr.write(`${reportFailure(failure, name)}\n`);
  process.exitCode = 1;
}
