/** The files that bench and tune write: what can't be written is found out before anything is measured, and nothing is left half written. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UsageError } from './arguments.ts';

/** Makes a file's folder and looks whether the file can be written there. Throws UsageError. */
export function mustBeWritable(file: string): void {
  refusing(file, () => {
    if (file === '') throw new Error('it has no name');
    const folder = dirname(resolve(file));
    makeFolder(folder);
    if (!statSync(folder).isDirectory()) throw new Error(`${folder} is no folder`);
    const isThere = existsSync(file);
    if (isThere && statSync(file).isDirectory()) throw new Error('it is a folder');
    accessSync(isThere ? file : folder, constants.W_OK);
  });
}

/** Writes a file as it is, which may be a pipe or a device. Throws UsageError. */
export const writeFile = (file: string, text: string): void => refusing(file, () => writeFileSync(file, text));

/** Writes a file whole or not at all: a reader never sees half of it, nor does another writer. Throws UsageError. */
export function writeWhole(file: string, text: string): void {
  const part = `${file}.${process.pid}.part`;
  refusing(file, () => {
    try {
      writeFileSync(part, text);
      renameSync(part, file);
    } finally {
      rmSync(part, { force: true });
    }
  });
}

/** What a JSON file holds. Throws UsageError where it can't be read or is no JSON. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (problem) {
    throw new UsageError(`${file} can't be read: ${(problem as Error).message}`);
  }
}

function refusing(file: string, work: () => void): void {
  try {
    work();
  } catch (problem) {
    throw new UsageError(`${file} can't be written: ${(problem as Error).message}; name another file`);
  }
}

/** Makes a folder and those above it, one by one: Node's own `recursive` never ends where a parent refuses with ENOENT, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (problem) {
    // Another process may have been quicker.
    if (!existsSync(path)) throw problem;
  }
}
