/** What the stage `webgpu` takes along: Dawn for Node, onnxruntime-web's WebGPU provider, and Vulkan's loader. */
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ORT_FOLDER, ortFiles, VULKAN_FOLDER, VULKAN_LOADER } from './layout.ts';

/** Where Linux keeps the loader of x64 programs. */
const libraryFolders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/lib/x86_64-linux-gnu', '/usr/lib'];
/** Its licence (Apache-2.0, parts MIT), as Debian's package libvulkan1 tells it. */
const LOADER_LICENCE = '/usr/share/doc/libvulkan1/copyright';

/** Copies all of it into the bundle; resolves to what this machine does not have. Rejects where a package is not installed. */
export async function writeWebGpu(root: string): Promise<readonly string[]> {
  const require = createRequire(import.meta.url);
  const dawn = dirname(require.resolve('webgpu'));
  const dawnTo = join(root, 'node_modules/webgpu');
  for (const name of ['package.json', 'index.js', 'LICENSE.md', 'dist/linux-x64/dawn.node'])
    await copy(join(dawn, name), join(dawnTo, name));
  const ort = dirname(require.resolve('onnxruntime-web'));
  for (const name of ortFiles) await copy(join(ort, name), join(root, ORT_FOLDER, name));
  const loader = libraryFolders.map((folder) => join(folder, VULKAN_LOADER)).find((path) => existsSync(path));
  if (loader === undefined) return [VULKAN_LOADER];
  await copy(loader, join(root, VULKAN_FOLDER, VULKAN_LOADER));
  if (existsSync(LOADER_LICENCE)) await copy(LOADER_LICENCE, join(root, VULKAN_FOLDER, 'copyright'));
  return [];
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}
