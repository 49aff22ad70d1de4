/** `pnpm figures`: how long a start takes, cold and warm, beside ONNX Runtime; `pnpm bench` times layers and models. Ratios mean something; single figures drift with the machine. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

// `pnpm figures | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const USAGE = `usage: pnpm figures

How long a start takes, cold and warm, beside ONNX Runtime: some dozens of processes, one after another. It takes no arguments.
`;
const given = process.argv.slice(2).filter((word, i) => i > 0 || word !== '--');
if (given.length > 0) {
  const isHelp = given.every((word) => word === '--help' || word === '-h');
  (isHelp ? process.stdout : process.stderr).write(USAGE);
  process.exit(isHelp ? 0 : 2);
}

interface Start {
  readonly cold: number;
  readonly warm: number;
}

/** One start in a process of its own. */
function start(...args: readonly string[]): Start {
  const script = `${import.meta.dirname}/cold.ts`;
  const line = execFileSync(process.execPath, [...process.execArgv, '--no-warnings', script, ...args], {
    encoding: 'utf8',
  });
  return line === '' ? { cold: 0, warm: 0 } : (JSON.parse(line) as Start);
}

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const ms = (values: readonly number[]): string =>
  `${middle(values).toFixed(1)} ms (${Math.min(...values).toFixed(1)} … ${Math.max(...values).toFixed(1)})`;
const TIMES = 5;

print(
  `node ${process.version}, V8 ${process.versions.v8}, ${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`,
);
const folder = mkdtempSync(join(tmpdir(), 'espalier-figures-'));
for (const model of ['tiny-ultrafastbert', 'tiny-bert']) {
  const file = join(folder, model);
  start('save', model, file);
  // Contenders in turn, a fresh process each.
  const rounds = Array.from({ length: TIMES }, () => ({
    espalier: start('espalier', model),
    saved: start('saved', model, file),
    onnxruntime: start('onnxruntime', model),
  }));
  const cold = (who: 'espalier' | 'saved' | 'onnxruntime'): readonly number[] => rounds.map((r) => r[who].cold);
  const warm = (who: 'espalier' | 'onnxruntime'): readonly number[] => rounds.map((r) => r[who].warm);
  const against = (ours: readonly number[], theirs: readonly number[]): string =>
    `${(middle(theirs) / middle(ours)).toFixed(2)}x`;
  print(`\none sentence on ${model}, one thread, median of ${TIMES} processes, ratio to onnxruntime-node`);
  print(
    `  espalier, cold: load the compiler, compile, load, run    ${ms(cold('espalier'))}   ${against(cold('espalier'), cold('onnxruntime'))}`,
  );
  print(
    `  espalier, cold, from a saved artefact: load, run         ${ms(cold('saved'))}   ${against(cold('saved'), cold('onnxruntime'))}`,
  );
  print(`  onnxruntime-node, cold: load, create a session, run      ${ms(cold('onnxruntime'))}`);
  print(
    `  espalier, warm                                           ${ms(warm('espalier'))}   ${against(warm('espalier'), warm('onnxruntime'))}`,
  );
  print(`  onnxruntime-node, warm                                   ${ms(warm('onnxruntime'))}`);
}
rmSync(folder, { recursive: true, force: true });
const layer = Array.from({ length: TIMES }, () => start('layer').cold);
print(`\ncompiling the five kernels of a BERT-base layer, cold, assembler loaded: ${ms(layer)}`);
