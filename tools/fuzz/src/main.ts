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

// `pnpm fuzz | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

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

const given = process.argv.slice(2).filter((word, i) => i > 0 || word !== '--');
const [countText = '10000', seedText = String(Math.floor(Math.random() * 2 ** 31)), name = 'wasm', ...more] = given;
const [count, seed] = [Number(countText), Number(seedText)];
const ground = grounds.get(name);
const isHelp = given.includes('--help') || given.includes('-h');
const isWrong =
  !Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed) || ground === undefined || more.length > 0;
if (isHelp || isWrong) {
  const names = [...grounds.keys()].join(', ');
  (isHelp ? process.stdout : process.stderr).write(
    `usage: pnpm fuzz [count] [seed] [device]; count and seed are whole numbers, the device one of ${names}\n`,
  );
  process.exit(isHelp ? 0 : 2);
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
