/** `--tuning`: whose forms are used, and where a tuning does not belong. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { machineKey, processor, shippedTuning } from '@espalier/app-bench';
import { afterAll, expect, it } from 'vitest';
import { espalier } from './support/terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-tuning-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const engine = `V8 ${process.versions.v8.split('.').slice(0, 2).join('.')}`;
const tuning = (machine: object | undefined, capabilities: object = { 'relaxed-simd': true, 'simd-256': false }) => {
  const blocks = { form: 'blocks', rows: 12, columns: 32, depth: 8 };
  const shapes = { 'contract [* 64] sum 16': [{ name: '', from: 0, form: blocks }] };
  const file = join(folder, 'tuning.json');
  writeFileSync(file, JSON.stringify({ version: 1, target: 'wasm', capabilities, shapes, machine }));
};
const compile = (more = '') =>
  espalier(`compile ff --target wasm --dims D=16,H=64,O=32 --no-binding --tuning tuning.json --out out${more}`, {
    cwd: folder,
  });
const kernels = (): readonly string[] => {
  const text = readFileSync(join(folder, 'out', 'ff.manifest.json'), 'utf8');
  const { launches } = JSON.parse(text) as { launches: readonly { kernel: string }[] };
  return launches.map(({ kernel }) => kernel);
};

it('of this machine is used without a word', async () => {
  tuning({ ...processor(), engine });
  const { code, error } = await compile();
  expect([code, error]).toEqual([0, '']);
  // Without it there are two variants of the first product.
  expect(kernels()).toEqual(['k0', 'k1_few', 'k1']);
});

it.each([
  ['another engine', { ...processor(), engine: 'V8 9.1' }, 'V8 9.1'],
  ['another processor', { cpu: 'Abacus 3000', engine }, 'Abacus 3000, V8'],
  ['a namesake of another family', { cpu: cpus()[0]?.model.trim(), family: 'family 1, model 1', engine }, '(family 1'],
])('of %s is used, and said to be of another', async (_, machine, text) => {
  tuning(machine);
  const { code, error } = await compile();
  expect(code).toBe(0);
  expect(error).toContain(text);
  expect(error).toContain('right anywhere');
  expect(kernels()).toEqual(['k0', 'k1_few', 'k1']);
});

it('for other capabilities than asked for is refused', async () => {
  tuning({ ...processor(), engine }, { 'relaxed-simd': true, 'simd-256': true });
  const { code, error } = await compile(' --capability simd-256=false');
  expect(code).toBe(2);
  expect(error).toContain('U012: tuning.json is a tuning for simd-256=true, not false');
  expect((await compile(' --capability simd-256=true')).code).toBe(0);
});

it('brings its capabilities', async () => {
  tuning({ ...processor(), engine }, { 'relaxed-simd': false, 'simd-256': false });
  expect((await compile()).code).toBe(0);
  const { requires } = JSON.parse(readFileSync(join(folder, 'out', 'ff.manifest.json'), 'utf8')) as {
    requires: readonly string[];
  };
  expect(requires).toEqual(['simd']);
});

it('that is shipped for this machine is used, if there is one', async () => {
  const line = 'compile fff --target wasm --dims D=768,O=768,trees=1,depth=11 --no-binding --tuning shipped --out out';
  for (const isWide of [false, true]) {
    const { code, error } = await espalier(`${line} --capability simd-256=${isWide}`, { cwd: folder });
    expect(code).toBe(0);
    expect(error).toBe(
      shippedTuning(machineKey(), isWide) === null
        ? "no tuning is shipped for wasm on this machine; the compiler's own choice of forms is used\n"
        : '',
    );
  }
});

it.each([
  [[1], 'variant 1 of "contract [* 64] sum 16" has no name'],
  [[{ name: '', from: 5, form: { form: 'rows', together: 2 } }], 'begins at 5 rows; those from 0 on have none'],
  [[{ name: '', from: 0, form: { form: 'bogus' } }], 'has the form "bogus"'],
  [
    [{ name: '', from: 0, form: { form: 'blocks', rows: 'x', columns: 8, depth: 8 } }],
    'whose rows is not a whole number',
  ],
])('with variants %j is refused', async (variants, problem) => {
  const shapes = { 'contract [* 64] sum 16': variants };
  writeFileSync(join(folder, 'tuning.json'), JSON.stringify({ version: 1, target: 'wasm', capabilities: {}, shapes }));
  const { code, error } = await compile();
  expect(code).toBe(2);
  expect(error).toContain("U012: tuning.json can't be used: ");
  expect(error).toContain(problem);
});
