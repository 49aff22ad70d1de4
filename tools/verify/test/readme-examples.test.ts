import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { files, root } from '../src/files.ts';

/**
 * Every ```ts fence of every README runs as it stands, from the repository's root, against the sources, with the packages
 * at hand that its own package has. A fence that ends with `// prints: …` must print exactly that as its last line.
 */
const folderOf = (readme: string): string => join(root, dirname(readme), '.cache', 'readme');
const readmes = files('README.md', '*/README.md', '*/*/README.md').filter((name) => !name.startsWith('models/'));
const examples = readmes.flatMap((readme) =>
  [...readFileSync(root + readme, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match, i) => ({
    readme,
    number: i + 1,
    code: match[1] as string,
  })),
);

describe('README examples', () => {
  afterAll(() => {
    for (const readme of readmes) rmSync(folderOf(readme), { recursive: true, force: true });
  });

  it('exist in the README of every package', () => {
    const packages = files('packages/*/package.json').map((name) => name.replace('package.json', 'README.md'));
    expect(packages.filter((readme) => !examples.some((e) => e.readme === readme))).toEqual([]);
  });

  it.each(examples)('$readme, example $number', async ({ readme, number, code }) => {
    mkdirSync(folderOf(readme), { recursive: true });
    const file = join(folderOf(readme), `example-${number}.ts`);
    writeFileSync(file, code);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=espalier-source', '--no-warnings', file],
      { cwd: root, timeout: 100_000 },
    );
    const promised = /\/\/ prints: (.*)\s*$/.exec(code)?.[1];
    if (promised !== undefined) expect(stdout.trim().split('\n').at(-1)).toBe(promised);
    else expect(stdout).not.toMatch(/undefined|NaN/);
  });
});
