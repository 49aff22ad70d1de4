import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { espalier } from './support/terminal.ts';

/** Within the package, so that a module of the examples finds the packages of the house. */
const folder = join(import.meta.dirname, '../.cache/shell-examples');
const main = join(import.meta.dirname, '../src/main.ts');
const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
const examples = [...readme.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```)?/gm)].map((match, i) => ({
  number: i + 1,
  script: match[1] ?? '',
  prints: match[2],
}));

const shell = `set -eo pipefail
espalier() { '${process.execPath}' --conditions=espalier-source --no-warnings '${main}' "$@"; }
`;

describe('README examples', () => {
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(6);
    expect(examples.filter((one) => one.prints !== undefined).length).toBeGreaterThan(0);
  });

  it.each(examples)('$number: $script', async ({ script, prints }) => {
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', shell + script], { cwd: folder });
    expect(stderr).toBe('');
    if (prints !== undefined) expect(stdout.trimEnd()).toBe(prints.trimEnd());
  });

  it('of the help run too', async () => {
    const helps = await Promise.all(['', 'compile ', 'explain ', 'simulate '].map((c) => espalier(`${c}--help`)));
    const lines = helps.flatMap(({ out }) => out.match(/^ {2}espalier .*$/gm) ?? []);
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines.map((text) =>
      text
        .trim()
        .replace(/ {2,}.*$/, '')
        .replace(/ > .*$/, ''),
    )) {
      // The help's own layer is no file here.
      if (line.includes('./mine.layer') || line.includes('completion')) continue;
      const { code, error } = await espalier(line.replace(/^espalier /, ''), { cwd: folder });
      expect([line, code, error]).toEqual([line, 0, '']);
    }
  });
});
