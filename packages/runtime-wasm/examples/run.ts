import { readFile } from 'node:fs/promises';
import { artefactFromFiles } from '@espalier/artefact';
import { loadLayer } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';

// A compiled layer is three files; no compiler is needed to run it.
const folder = new URL('examples/', import.meta.resolve('@espalier/runtime-wasm/package.json'));
const names = ['dense.manifest.json', 'dense.wasm', 'dense.wat'];
const files = names.map(async (path) => ({ path, content: await readFile(new URL(path, folder)) }));
const artefact = artefactFromFiles(await Promise.all(files));

using device = await openWasm({ threads: 2 });
using layer = await loadLayer(device, artefact, {
  weight: { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] },
  bias: Float32Array.of(0, 0.5, -100),
});

// x is [T, 2]; its four elements make T = 2.
const { y } = await layer.run({ x: Float32Array.of(1, 1, 10, -1) });
process.stdout.write(`y of shape [${y?.shape}]: ${y?.data}\n`);
