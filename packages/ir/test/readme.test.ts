/** The page of the language in the README is a file that the language accepts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkModule, layerFromText } from '../src/index.ts';
import { boundsOf } from './support/front-end.ts';

it('has a sound language page, whose tree is never left', () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  const page = /```\n(\/\/ A file[\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(page).toContain('descend');
  expect(checkModule(page)).toEqual([]);
  const layer = layerFromText(page, { dims: { D: 3, O: 2, depth: 4 } });
  expect(boundsOf(layer).join(' ')).not.toContain('n');
});
