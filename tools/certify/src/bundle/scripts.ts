/** The program of a bundle: one module and its chunks with all packages in it, koffi beside it with its binary for Linux. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = fileURLToPath(new URL('..', import.meta.url));

/** What stays outside of the modules: koffi finds its binary beside itself; what other targets and references load is not taken along. */
const external = ['koffi', 'onnxruntime-node', 'webgpu', 'playwright-core', 'vite'];

/** Writes `lib/main.js` and its chunks from the packages' sources. */
export async function writeScripts(root: string): Promise<void> {
  const conditions = ['espalier-source', 'node', 'import', 'module', 'default'];
  await build({
    configFile: false,
    root: here,
    logLevel: 'error',
    resolve: { conditions },
    ssr: { noExternal: true, external, resolve: { conditions, externalConditions: conditions } },
    build: {
      ssr: join(here, 'main.ts'),
      outDir: join(root, 'lib'),
      emptyOutDir: true,
      target: 'node24',
      minify: false,
      copyPublicDir: false,
      // Vite asks about modules that only mean something to browsers; none of them is reached here.
      rollupOptions: { output: { entryFileNames: 'main.js', format: 'es' } },
    },
  });
}

/** Copies koffi and its binary for x64 Linux. Rejects where it is not installed. */
export async function writeKoffi(root: string): Promise<void> {
  const require = createRequire(import.meta.url);
  const koffi = dirname(require.resolve('koffi'));
  const modules = join(root, 'node_modules');
  for (const name of [
    'package.json',
    'LICENSE.txt',
    'index.js',
    'index.cjs',
    'src/koffi/index.js',
    'src/koffi/index.cjs',
  ])
    await copy(join(koffi, name), join(modules, 'koffi', name));
  for (const name of ['src/koffi/src/static.js', 'src/koffi/src/static.cjs', 'lib'])
    await copy(join(koffi, name), join(modules, 'koffi', name)).catch(() => undefined);
  const binary = dirname(createRequire(join(koffi, 'index.js')).resolve('@koromix/koffi-linux-x64'));
  // The other binary there is for musl, for which there is no Node in the bundle.
  for (const name of await readdir(binary))
    if (!name.startsWith('musl')) await copy(join(binary, name), join(modules, '@koromix/koffi-linux-x64', name));
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true, dereference: true });
}
