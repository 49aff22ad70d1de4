/** Finding shared libraries: the names a library goes by on each system, tried in order; what was tried is kept for the error. */
import koffi, { type LibraryHandle } from 'koffi';
import { enlargeStacks } from './foreign.ts';

/** A loaded library, and the name it was found by. */
export interface FoundLibrary {
  readonly path: string;
  readonly handle: LibraryHandle;
}

/** Why none of the names could be loaded, for people: "libcuda.so.1 could not be loaded: …". */
export interface MissingLibrary {
  readonly reason: string;
}

/** The first of `paths` that loads. The reason names the first one, which is the usual one, and how many others were tried. */
export function findLibrary(paths: readonly string[]): FoundLibrary | MissingLibrary {
  enlargeStacks();
  const reasons: string[] = [];
  for (const path of paths) {
    try {
      return { path, handle: koffi.load(path) };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      reasons.push(`${path} could not be loaded: ${text.replace('Failed to load shared library: ', '')}`);
    }
  }
  const [first = 'no library was named', ...others] = reasons;
  return {
    reason:
      others.length === 0
        ? first
        : `${first} (nor by ${others.length === 1 ? 'its other name' : `${others.length} other names`})`,
  };
}

/** The CUDA driver comes with the graphics driver, not with the toolkit. */
export const driverNames = (): readonly string[] =>
  process.platform === 'win32' ? ['nvcuda.dll'] : ['libcuda.so.1', 'libcuda.so'];

/** Versions of the toolkit whose libraries are looked for, newest first. */
const MAJORS = [13, 12] as const;

/** Folders of a toolkit: what the environment says, then the usual place. */
export const toolkitFolders = (): readonly string[] => {
  const { CUDA_HOME, CUDA_PATH } = process.env;
  const usual = process.platform === 'win32' ? [] : ['/usr/local/cuda'];
  return [
    ...new Set([CUDA_HOME, CUDA_PATH, ...usual].filter((folder) => folder !== undefined && folder !== '')),
  ] as string[];
};

/**
 * Names of a library of the toolkit such as `nvrtc` or `cublasLt`: by the loader's search path first, then in the folders of
 * the toolkit. On Windows `nvrtc64_130_0.dll` and `cublasLt64_13.dll` follow no one rule, so `windows` names them.
 */
export function toolkitNames(stem: string, windows: (major: number) => string): readonly string[] {
  if (process.platform === 'win32') {
    const names = MAJORS.map(windows);
    return [...names, ...toolkitFolders().flatMap((folder) => names.map((name) => `${folder}\\bin\\${name}`))];
  }
  const names = [...MAJORS.map((major) => `lib${stem}.so.${major}`), `lib${stem}.so`];
  return [...names, ...toolkitFolders().flatMap((folder) => names.map((name) => `${folder}/lib64/${name}`))];
}
