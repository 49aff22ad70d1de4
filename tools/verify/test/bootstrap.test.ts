/** The two commands, with programs beneath them that only pretend: what is counted, and which exit code comes out. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { root } from '../src/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-bootstrap-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: readonly string[]): string => join(folder, ...parts);
const results = at('node_modules/.cache/test-results.json');

/** A program in the folder's `.bin`, which says in `ran` that it ran. */
function pretend(name: string, script = ''): void {
  writeFileSync(at('node_modules/.bin', name), `#!/bin/sh\necho ${name} >> '${at('ran')}'\n${script}\n`);
  chmodSync(at('node_modules/.bin', name), 0o755);
}

const counts = (passed: number): string =>
  JSON.stringify({ numPassedTests: passed, numFailedTests: 0, numPendingTests: 2, numTodoTests: 1 });

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  for (const path of ['tools', 'node_modules/.bin', 'node_modules/.cache']) mkdirSync(at(path), { recursive: true });
  copyFileSync(join(root, 'tools/bootstrap.mjs'), at('tools/bootstrap.mjs'));
  writeFileSync(at('package.json'), '{ "type": "module", "packageManager": "pnpm@0.0.0" }');
  for (const name of ['npx', 'turbo', 'biome', 'tsc', 'vitest', 'node']) pretend(name);
});

function bootstrap(...given: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [at('tools/bootstrap.mjs'), ...given], {
    encoding: 'utf8',
  });
  const ran = existsSync(at('ran')) ? readFileSync(at('ran'), 'utf8').trim().split('\n') : [];
  return { code: status, last: stdout.trim().split('\n').at(-1), error: stderr, ran };
}

describe.skipIf(process.platform === 'win32')('the two commands', () => {
  it('install, build, check and count', () => {
    pretend('vitest', `echo '${counts(7)}' > '${results}'`);
    expect(bootstrap('test')).toMatchObject({
      code: 0,
      last: '7 passed, 0 failed, 3 skipped',
      ran: ['npx', 'turbo', 'biome', 'tsc', 'vitest'],
    });
  });

  it('do not count an earlier run where the tests do not start', () => {
    writeFileSync(results, counts(4000));
    pretend('vitest', 'exit 1');
    expect(bootstrap('test', '--nonsense')).toMatchObject({ code: 1, last: '0 passed, 1 failed, 0 skipped' });
  });

  it('count what lint and types find', () => {
    pretend('vitest', `echo '${counts(7)}' > '${results}'`);
    pretend('biome', 'exit 1');
    pretend('tsc', 'exit 2');
    expect(bootstrap('test')).toMatchObject({ code: 1, last: '7 passed, 2 failed, 3 skipped' });
  });

  it('stop where packages cannot be installed, and say so', () => {
    pretend('npx', 'exit 3');
    const { code, error, ran } = bootstrap('start');
    expect([code, ran]).toEqual([3, ['npx']]);
    expect(error).toContain('Installing the packages failed (exit code 3).');
  });

  it('end with the code of a program that was interrupted', () => {
    pretend('node', 'kill -INT $$');
    expect(bootstrap('start')).toMatchObject({ code: 130, ran: ['npx', 'turbo', 'node'] });
  });

  it('install nothing for a task that there is not', () => {
    const { code, error, ran } = bootstrap('strat');
    expect([code, ran]).toEqual([2, []]);
    expect(error).toContain('usage: node tools/bootstrap.mjs start|test');
  });
});
