/**
 * `pnpm fuzz [count] [seed]`: random programs on the WASM device, with progress. Ends with exit code 1 and the smallest
 * failing program it found when one is wrong.
 */
import { openWasmTarget } from '@espalier/runtime-wasm';
import { runPrograms } from './random-program.ts';
import { reportFailure, summary } from './random-report.ts';

const [countText = '10000', seedText = String(Math.floor(Math.random() * 2 ** 31))] = process.argv.slice(2);
const [count, seed] = [Number(countText), Number(seedText)];
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: pnpm fuzz [count] [seed]; both are whole numbers\n');
  process.exit(2);
}
process.stdout.write(`${count} programs, seed ${seed}\n`);
using device = await openWasmTarget('wasm');
let shown = 0;
const { tally, failure } = await runPrograms(device, count, seed, {
  progress: (t) => {
    if (Date.now() - shown < 2000) return;
    shown = Date.now();
    process.stdout.write(`${summary(t)}\n`);
  },
});
process.stdout.write(`${summary(tally)}\n`);
if (failure !== null) {
  process.stderr.write(`${reportFailure(failure)}\n`);
  process.exitCode = 1;
}
