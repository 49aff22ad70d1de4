/** Writes what was made, or says why it can't be written. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from './errors.ts';

export interface WrittenFile {
  /** As the person would write it: relative to the folder they are in, when they gave it so. */
  readonly path: string;
  readonly bytes: number;
}

/** Writes files into a folder, which is made where it is missing. Throws UsageError U009. */
export async function writeFiles(
  folder: string,
  files: readonly { readonly path: string; readonly content: string | Uint8Array }[],
  cwd: string,
): Promise<readonly WrittenFile[]> {
  const written: WrittenFile[] = [];
  try {
    await makeFolder(resolve(cwd, folder));
    for (const { path, content } of files) {
      await writeFile(resolve(cwd, folder, path), content);
      written.push({
        path: join(folder, path),
        bytes: typeof content === 'string' ? Buffer.byteLength(content) : content.length,
      });
    }
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(
      'U009',
      `${folder} cannot be written: ${detail}`,
      'Name a folder that you may write with --out.',
      { cause },
    );
  }
  return written;
}

/** Makes a folder and those above it, one by one: Node's own `recursive` never ends where a parent refuses with ENOENT, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path);
}
