/**
 * Makes the example artefact from `dense.wat`: assembles it, writes the manifest a compiler would write, and saves both.
 * Run it after a change: `node --conditions=espalier-source examples/make.ts`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { type Artefact, artefactFiles, type Binding, rowMajor, type SizeExpr, sha256Hex } from '@espalier/artefact';
import openWabt from 'wabt';

const binding = (name: string, role: Binding['role'], ...shape: readonly SizeExpr[]): Binding => ({
  name,
  role,
  storage: 'f32',
  shape,
  layout: rowMajor(shape.length),
});

/** The artefact of `examples/dense.wat`. */
export async function exampleArtefact(): Promise<Artefact> {
  const source = await readFile(new URL('dense.wat', import.meta.url), 'utf8');
  const wabt = await openWabt();
  const module = wabt.parseWat('dense.wat', source);
  const binary = Uint8Array.from(module.toBinary({}).buffer);
  module.destroy();
  return {
    source,
    binary,
    manifest: {
      version: 1,
      name: 'dense',
      target: 'wasm',
      generator: 'written by hand',
      dims: ['T'],
      fixed: { I: 2, O: 3 },
      bindings: [
        binding('x', 'input', 'T', 2),
        binding('weight', 'weight', 3, 2),
        binding('bias', 'weight', 3),
        binding('y', 'output', 'T', 3),
      ],
      launches: [
        {
          kernel: 'k0',
          grid: 'T',
          bindings: ['x', 'weight', 'bias', 'y'],
          dims: [],
          scratch: 0,
          label: 'y[t, o] = relu(bias[o] + sum[i](x[t, i] * weight[o, i])), a token a grid step',
          flops: ['*', 'T', 15],
          bytes: ['*', 'T', 20],
        },
      ],
      faults: [],
      requires: [],
      numerics: {},
      checksum: await sha256Hex(binary),
    },
  };
}

if (import.meta.main)
  for (const { path, content } of artefactFiles(await exampleArtefact()))
    await writeFile(new URL(path, import.meta.url), content);
