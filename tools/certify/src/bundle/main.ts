/**
 * `pnpm certify:bundle [FOLDER]`: makes `espalier-certify/` and `espalier-certify.tar.xz` in FOLDER (tools/certify/dist), to be carried to a machine
 * with a GPU and no network. Needs nvcc. Fails where the archive would be larger than 60 MB.
 */
import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeKernels } from './kernels.ts';
import { writeKoffi, writeScripts } from './scripts.ts';
import { writeWebGpu } from './webgpu.ts';

/** Most bytes of an archive. */
export const LIMIT = 60_000_000;

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** The largest of the golden models; models/tiny-bert is of its kind. */
const leftOut: ReadonlySet<string> = new Set(['hf-bert-tiny', 'README.md']);

const COMMAND = `#!/bin/sh
# Certifies this machine's GPU; see --help. Nothing outside of this folder is needed but the NVIDIA driver.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec "$here/bin/node" "$here/lib/main.js" "$here" "$@"
`;

const README = `Espalier: certifying a GPU machine

Run ./certify. It needs x64 Linux with glibc and the NVIDIA driver; no network, no CUDA toolkit, nothing installed. It runs the
conformance suite, the bundled models and timings on the first CUDA device, then WebGPU where Vulkan has an adapter, and writes
certification.json into the current folder: bring that file back. ./certify --help lists the options.
`;

/** What to make of it. */
export interface BundleOptions {
  /** Folder that receives the folder and the archive. */
  readonly output: string;
  /** Two kernels and a quick archive that may be large, for tests of the tool itself. */
  readonly trial?: boolean;
  readonly print: (line: string) => void;
}

/** Makes the folder and the archive; resolves to the archive's path and bytes. Rejects where it is too large. */
export async function makeBundle({ output, trial = false, print }: BundleOptions): Promise<{
  readonly folder: string;
  readonly archive: string;
  readonly bytes: number;
}> {
  const folder = join(resolve(output), 'espalier-certify');
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'bin'), { recursive: true });
  print('programs');
  await writeScripts(folder);
  await writeKoffi(folder);
  for (const name of await writeWebGpu(folder)) print(`left out, since it is not here: ${name}`);
  await copyNode(join(folder, 'bin/node'));
  await writeFile(join(folder, 'certify'), COMMAND);
  await chmod(join(folder, 'certify'), 0o755);
  await writeFile(join(folder, 'README.txt'), README);
  await writeFile(join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
  print('models');
  await cp(join(repository, 'models'), join(folder, 'models'), { recursive: true });
  for (const name of await readdir(join(repository, 'fixtures/golden')))
    if (!leftOut.has(name))
      await cp(join(repository, 'fixtures/golden', name), join(folder, 'golden', name), { recursive: true });
  print('kernels');
  const memory = fileURLToPath(new URL('../../.cache/ptx/', import.meta.url));
  await writeKernels({ root: folder, memory, print, ...(trial ? { limit: 2 } : {}) });
  print('archive');
  const archive = `${folder}.tar.xz`;
  // Sorted, without owners and times: the same bundle is the same archive.
  const options = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=2020-01-01'];
  await run('tar', [
    ...options,
    '-I',
    trial ? 'xz -0 -T0' : 'xz -9 -T0',
    '-cf',
    archive,
    '-C',
    resolve(output),
    'espalier-certify',
  ]);
  const { size } = await stat(archive);
  if (size > LIMIT && !trial) {
    const parts = await Promise.all(
      (await readdir(folder)).map(
        async (name) => `${name} ${(await run('du', ['-sk', join(folder, name)])).stdout.split('\t')[0]} KiB`,
      ),
    );
    throw new Error(`the archive has ${size} bytes, at most ${LIMIT} are allowed; unpacked: ${parts.join(', ')}`);
  }
  return { folder, archive, bytes: size };
}

/** This Node, without its symbols where binutils are at hand: they are a sixth of it and nobody debugs Node there. */
async function copyNode(to: string): Promise<void> {
  await copyFile(process.execPath, to);
  await run('strip', ['--strip-unneeded', to]).catch(() => undefined);
  await chmod(to, 0o755);
  await run(to, ['--version']);
}

const USAGE = `usage: pnpm certify:bundle [FOLDER]

Makes espalier-certify/ and espalier-certify.tar.xz in FOLDER (tools/certify/dist unless told), to be carried to a machine with a
GPU and no network. What FOLDER has under these names is replaced. Needs nvcc, and takes some minutes.
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const given = process.argv.slice(2).filter((word, i) => i > 0 || word !== '--');
  const [output = fileURLToPath(new URL('../../dist', import.meta.url))] = given;
  if (given.some((word) => word === '--help' || word === '-h')) process.stdout.write(USAGE);
  else if (given.length > 1 || output.startsWith('-') || output === '') {
    // A folder called "--help" is nobody's wish.
    process.stderr.write(USAGE);
    process.exitCode = 2;
  } else {
    const { archive, bytes } = await makeBundle({ output, print });
    print(`${archive}: ${(bytes / 1e6).toFixed(1)} MB`);
  }
}
