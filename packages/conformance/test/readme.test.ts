/** The example of the README runs as it stands there. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('has an example that runs', () => {
  const folder = join(import.meta.dirname, '..');
  const blocks = [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)];
  const example = blocks.map((b) => b[1] ?? '').find((text) => text.includes('compareLayer')) ?? '';
  expect(example).toContain('console.log');
  const flags = ['--conditions=espalier-source', '--input-type=module', '-'];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { cwd: folder, input: example, encoding: 'utf8' });
  expect(stdout.trim(), stderr).toBe('equal');
});
