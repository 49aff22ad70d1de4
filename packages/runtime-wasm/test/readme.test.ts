/** The README's example is the file that lies in `examples`, and it runs; the artefact there is what its script makes. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { artefactFiles, artefactFromFiles } from '@espalier/artefact';
import { expect, it } from 'vitest';
import { exampleArtefact } from '../examples/make.ts';

const file = (path: string): URL => new URL(`../${path}`, import.meta.url);

it('shows the example that is tested', async () => {
  const readme = await readFile(file('README.md'), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${await readFile(file('examples/run.ts'), 'utf8')}\`\`\``);
});

it('runs the example', async () => {
  const run = promisify(execFile)(process.execPath, [
    '--conditions=espalier-source',
    fileURLToPath(file('examples/run.ts')),
  ]);
  expect(await run).toEqual({ stdout: 'y of shape [2,3]: 3,7.5,0,8,26.5,0\n', stderr: '' });
});

it('has the artefact that its script makes', async () => {
  const made = await exampleArtefact();
  const names = artefactFiles(made).map(({ path }) => path);
  expect(names).toEqual(['dense.manifest.json', 'dense.wasm', 'dense.wat']);
  // Compared as what they mean: a formatter may lay the manifest out anew.
  const saved = names.map(async (path) => ({
    path,
    content: new Uint8Array(await readFile(file(`examples/${path}`))),
  }));
  expect(artefactFromFiles(await Promise.all(saved))).toEqual(made);
});
