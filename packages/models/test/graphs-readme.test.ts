/** The example of README.md's section on graphs runs as it stands there, and says what a reader would expect. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { model } from './support.ts';

test('the example in README.md', () => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const section = text.slice(text.indexOf('## From a checkpoint to a graph'));
  const code = /```ts\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const flags = [
    '--conditions=espalier-source',
    '--input-type=module-typescript',
    '--disable-warning=ExperimentalWarning',
  ];
  const output = execFileSync(process.execPath, flags, {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    input: code.replace("'models/", `'${model('')}`),
    encoding: 'utf8',
  });
  expect(output).toContain("'door'");
  expect(output).toContain('layers.3.ffn Int32Array');
});
