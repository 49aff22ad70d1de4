/** `pnpm figures`: prints the first figures, each beside its baseline. Ratios mean something; single figures drift with the machine. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { layerFigures } from './layers.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

interface Start {
  readonly cold: number;
  readonly warm: number;
}

/** Cold starts in fresh processes, contenders in turn. */
function coldStarts(names: readonly string[], times: number): Map<string, Start[]> {
  const found = new Map<string, Start[]>(names.map((name) => [name, []]));
  for (let i = 0; i < times; i++) {
    for (const name of names) {
      const line = execFileSync(
        process.execPath,
        [...process.execArgv, '--no-warnings', `${import.meta.dirname}/cold.ts`, name],
        { encoding: 'utf8' },
      );
      found.get(name)?.push(JSON.parse(line) as Start);
    }
  }
  return found;
}

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const ms = (values: readonly number[]): string =>
  `${middle(values).toFixed(1)} ms (${Math.min(...values).toFixed(1)} … ${Math.max(...values).toFixed(1)})`;

print(
  `node ${process.version}, V8 ${process.versions.v8}, ${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`,
);
const starts = coldStarts(['espalier', 'onnxruntime', 'layer'], 5);
const cold = (name: string): readonly number[] => (starts.get(name) ?? []).map((s) => s.cold);
const warm = (name: string): readonly number[] => (starts.get(name) ?? []).map((s) => s.warm);
print('\none sentence on the bundled tiny-ultrafastbert, one thread, median of five processes');
print(`  espalier, cold: load the compiler, compile, load, run     ${ms(cold('espalier'))}`);
print(`  onnxruntime-node, cold: load, create a session, run       ${ms(cold('onnxruntime'))}`);
print(`  espalier, warm                                            ${ms(warm('espalier'))}`);
print(
  `  onnxruntime-node, warm                                    ${ms(warm('onnxruntime'))}   ${(middle(warm('onnxruntime')) / middle(warm('espalier'))).toFixed(2)}x`,
);
print(`  compiling one BERT-base layer, cold, assembler loaded     ${ms(cold('layer'))}`);
await layerFigures(print);
