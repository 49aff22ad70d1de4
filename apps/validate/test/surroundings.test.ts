/** The command among others: pipes that close early and folders that refuse. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { command, fixture, scratch } from './support/streams.ts';

const quick = ['--targets', 'wasm', '--no-timing'];

test('a pipe that closes early is no error, and the report is still written', { timeout: 60_000 }, async () => {
  await using folder = await scratch();
  const main = join(import.meta.dirname, '../src/main.ts');
  const json = join(folder.path, 'report.json');
  const given = ['--conditions=espalier-source', '--no-warnings', main, fixture('crammed-fff-tiny'), ...quick];
  // Verbose output is more than a pipe holds; `true` reads none of it.
  const words = [...given, '--verbose', '--no-report', '--json', json].map((word) => `'${word}'`).join(' ');
  const script = `set -o pipefail; '${process.execPath}' ${words} 2>&1 | true; echo "\${PIPESTATUS[0]}"`;
  const said = execFileSync('bash', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  expect(said).toBe('0\n');
  expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({ agrees: true });
});

test.skipIf(!existsSync('/proc/self'))('a folder that refuses others in it ends with V006, not never', async () => {
  const given = [fixture('fff-leaf'), ...quick];
  for (const option of [
    ['--report', '/proc/nowhere'],
    ['--no-report', '--outputs', '/proc/nowhere'],
  ]) {
    const { code, error } = await command([...given, ...option]);
    expect(code).toBe(2);
    expect(error).toMatch(/V006: cannot write \/proc\/nowhere/);
  }
});
