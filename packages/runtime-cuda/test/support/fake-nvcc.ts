/**
 * An nvcc for the fake driver: compiles printed CUDA C with the host check and writes an image that the fake driver runs. Kernels
 * and their parameters are read off the source. Started by the script that `writeFakeNvcc` makes; libraries go to the folder named
 * by FAKE_NVCC_FOLDER.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { compileForHost } from '../../src/host/compile.ts';

const args = process.argv.slice(2);
if (args.includes('--version')) process.stdout.write('Cuda compilation tools, release 99.0, V99.0.0\n');
else if (args.includes('--list-gpu-code')) process.stdout.write('sm_80\nsm_90\n');
else {
  const source = readFileSync(args.at(-1) ?? '', 'utf8');
  const kernels = [...source.matchAll(/__global__ void[^(]*(?:\(\d+\))?\s+(\w+)\(([^)]*)\)/g)].map(
    ([, name = '', list = '']) => {
      const parameters = list.split(',').filter((parameter) => parameter.trim() !== '');
      const pointers = parameters.filter((parameter) => parameter.includes('*')).length;
      return { name, pointers, dims: parameters.length - pointers };
    },
  );
  const launches = kernels.map(({ name, pointers, dims }) => ({
    kernel: name,
    bindings: Array.from({ length: pointers }, () => ''),
    dims: Array.from({ length: dims }, () => ''),
    scratch: 0,
  }));
  const checksum = createHash('sha256').update(source).digest('hex');
  // Only these fields are looked at.
  const artefact = { manifest: { name: 'kernels', checksum, launches }, source } as unknown as Parameters<
    typeof compileForHost
  >[1];
  const library = await compileForHost('g++', artefact, process.env['FAKE_NVCC_FOLDER'] ?? '.');
  const lines = kernels.map(({ name, pointers, dims }) => `${name} ${pointers} ${dims}`);
  const output = args[args.indexOf('-o') + 1] ?? '';
  writeFileSync(output, [`HOST-MODULE ${library}`, ...lines, ''].join('\n'));
}
