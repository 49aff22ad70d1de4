/** Ctrl-C, as a terminal sends it: what was found is kept, nothing goes on running, and the exit code says so. And pipes that close early. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'espalier-stop-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const main = join(import.meta.dirname, '../src/main.ts');

/** Runs a command line to its end; one that says `interruptAt` on its error stream is interrupted a moment later. */
async function run(line: string, interruptAt?: string) {
  const node = ['--conditions=espalier-source', '--no-warnings', main, ...line.split(' ')];
  const child = spawn(process.execPath, node, { cwd: folder });
  const said = { out: '', error: '' };
  let isInterrupted = false;
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => {
    said.error += text;
    if (isInterrupted || interruptAt === undefined || !said.error.includes(interruptAt)) return;
    isInterrupted = true;
    setTimeout(() => child.kill('SIGINT'), 300);
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, ...said };
}

const layer = 'tune fff --dims D=8,O=8,trees=1,depth=3 --out tuning.json';
// Ten minutes, which no test would wait for.
const long = `${layer} --rows 1,9 --seconds 600`;

it('stops a search, and leaves no file where nothing was found', { timeout: 60_000 }, async () => {
  const { code, out, error } = await run(long, 'candidates');
  expect([code, out]).toEqual([130, 'stopped before anything was found; tuning.json is as it was\n']);
  expect(error).toContain('stopping; what was found is kept');
  expect(readdirSync(folder)).toEqual([]);
});

it('keeps what an earlier search found', { timeout: 60_000 }, async () => {
  expect((await run(`${layer} --rows 1 --seconds 0.05`)).code).toBe(0);
  const choices = (): unknown =>
    (JSON.parse(readFileSync(join(folder, 'tuning.json'), 'utf8')) as { readonly choices: unknown }).choices;
  const before = choices();
  const { code, out } = await run(long, '9 rows');
  expect(code).toBe(130);
  expect(out).toContain('written: tuning.json (stopped; the same command goes on)');
  expect(choices()).toEqual(before);
  expect(readdirSync(folder)).toEqual(['tuning.json']);
});

it('keeps its exit code where nobody reads what went wrong', () => {
  const command = `'${process.execPath}' --conditions=espalier-source --no-warnings '${main}' nonsense`;
  const script = `set -o pipefail; (sleep 0.1; ${command}; echo "$?" >&3) 3>&1 >/dev/null 2> >(true); wait`;
  expect(execFileSync('bash', ['-c', script], { encoding: 'utf8' })).toBe('2\n');
});
