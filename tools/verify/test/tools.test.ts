/** Every command of the root's package.json that is a program of ours: it explains itself, and refuses what it does not know. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from '../src/files.ts';

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
/** Name and program, of apps from their sources. */
const programs = Object.entries(scripts).flatMap(([name, line]): readonly (readonly [string, string])[] => {
  const file = /(?:^|\s)((?:apps|tools)\/\S+\.(?:ts|js))$/.exec(line)?.[1];
  return file === undefined ? [] : [[name, join(root, file.replace('/dist/', '/src/').replace(/\.js$/, '.ts'))]];
});

/** A folder of its own, since what is misunderstood may be taken for a path. */
const folder = mkdtempSync(join(tmpdir(), 'espalier-tools-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(program: string, ...given: readonly string[]) {
  const node = ['--conditions=espalier-source', '--no-warnings', program, ...given];
  const child = spawn(process.execPath, node, { cwd: folder, timeout: 90_000 });
  const said = { out: '', error: '' };
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => (said.error += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, ...said };
}

it('finds the programs', () => {
  const names = ['validate', 'fuzz', 'figures', 'espalier', 'bench', 'replay', 'webgpu:counters'];
  expect(programs.map(([name]) => name)).toEqual([...names, 'certify:bundle', 'certify:render']);
});

describe.concurrent.each(programs)('pnpm %s', { timeout: 200_000 }, (_, program) => {
  it('says with --help how it is used, also behind the "--" that pnpm hands on', async ({ expect }) => {
    for (const given of [['--help'], ['--', '--help']]) {
      const { code, out, error } = await run(program, ...given);
      expect([code, error]).toEqual([0, '']);
      expect(out).toMatch(/usage|espalier|pnpm/i);
    }
  });

  it('refuses an option that it does not know, in words', async ({ expect }) => {
    const { code, out, error } = await run(program, '--xylophone');
    expect([code, out]).toEqual([2, '']);
    expect(error).not.toMatch(/^\s+at /m);
    expect(error).toMatch(/xylophone|usage/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
