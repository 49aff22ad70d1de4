/** NVRTC, the compiler as a library: source in, machine code out, no files, no host compiler. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ArtefactError } from '@espalier/artefact';
import { mayCompileAside } from '../driver/foreign.ts';
import { type FoundLibrary, findLibrary, toolkitFolders, toolkitNames } from '../driver/library.ts';
import { architectureFor, type CompileJob, type CudaCompiler, type KernelImage, sharedFlags } from './compiler.ts';
import { tooOld } from './nvcc.ts';

/** Parameters of each call; all return an nvrtcResult. */
const nvrtcCalls = {
  nvrtcVersion: ['void *', 'void *'],
  nvrtcGetNumSupportedArchs: ['void *'],
  nvrtcGetSupportedArchs: ['void *'],
  nvrtcCreateProgram: ['void *', 'const char *', 'const char *', 'int', 'void *', 'void *'],
  nvrtcCompileProgram: ['void *', 'int', 'const char **'],
  nvrtcGetProgramLogSize: ['void *', 'void *'],
  nvrtcGetProgramLog: ['void *', 'void *'],
  nvrtcGetCUBINSize: ['void *', 'void *'],
  nvrtcGetCUBIN: ['void *', 'void *'],
  nvrtcGetPTXSize: ['void *', 'void *'],
  nvrtcGetPTX: ['void *', 'void *'],
  nvrtcDestroyProgram: ['void *'],
} as const;

type NvrtcCall = keyof typeof nvrtcCalls;

/** A working NVRTC. */
export interface Nvrtc extends CudaCompiler {
  readonly path: string;
  /** "13.0". */
  readonly version: string;
  readonly known: readonly number[];
}

const windowsName = (major: number): string => `nvrtc64_${major}0_0.dll`;

/** NVRTC at `path`, or where the toolkit has it; or why there is none. */
export function findNvrtc(path?: string): Nvrtc | { readonly reason: string } {
  const found = findLibrary(path === undefined ? toolkitNames('nvrtc', windowsName) : [path]);
  if ('reason' in found) return found;
  try {
    return openNvrtc(found);
  } catch (error) {
    return {
      reason: `${found.path} is no NVRTC that works: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function openNvrtc({ path, handle }: FoundLibrary): Nvrtc {
  const functions = Object.fromEntries(
    Object.entries(nvrtcCalls).map(([name, parameters]) => [name, handle.func(name, 'int', [...parameters])]),
  ) as Record<NvrtcCall, ReturnType<typeof handle.func>>;
  const errorText = handle.func('nvrtcGetErrorString', 'const char *', ['int']);
  const check = (name: NvrtcCall, result: number): void => {
    if (result !== 0)
      throw new ArtefactError(
        'A010',
        `${name} says ${errorText(result)}; compile with nvcc instead (compiler: 'nvcc'), or repair the CUDA toolkit`,
      );
  };
  const call = (name: NvrtcCall, ...args: unknown[]): void => check(name, functions[name](...args) as number);
  const text = (size: NvrtcCall, get: NvrtcCall, program: bigint): Uint8Array<ArrayBuffer> => {
    const length = new BigUint64Array(1);
    call(size, program, length);
    const bytes = new Uint8Array(Number(length[0]));
    call(get, program, bytes);
    return bytes;
  };

  const words = new Int32Array(2);
  call('nvrtcVersion', words, words.subarray(1));
  const version = words.join('.');
  call('nvrtcGetNumSupportedArchs', words);
  const archs = new Int32Array(words[0] as number);
  call('nvrtcGetSupportedArchs', archs);
  const known = [...archs];
  const name = `NVRTC ${version}`;
  // NVRTC opens its other half by name alone, which the loader finds in an unusual folder only if it is loaded already.
  if (dirname(path) !== '.') findLibrary([join(dirname(path), `libnvrtc-builtins.so.${version}`)]);

  const compileProgram = async (program: bigint, options: readonly string[]): Promise<number> => {
    const call = functions.nvrtcCompileProgram;
    if (!mayCompileAside()) return call(program, options.length, options) as number;
    return new Promise((resolve, reject) =>
      call.async(program, options.length, options, (error: Error | null, result: number) =>
        error ? reject(error) : resolve(result),
      ),
    );
  };

  const compile = async (job: CompileJob): Promise<KernelImage> => {
    const found = architectureFor(job, { version, known });
    if (!found) throw tooOld(job.name, job.sm, name, known);
    const { kind, arch } = found;
    const options = [
      `--gpu-architecture=${arch}`,
      ...sharedFlags,
      '--generate-line-info',
      '--device-as-default-execution-space',
      ...includes(),
    ];
    const out = new BigUint64Array(1);
    call('nvrtcCreateProgram', out, job.source, `${job.name}.cu`, 0, null, null);
    const program = out[0] as bigint;
    try {
      const result = await compileProgram(program, options);
      if (result !== 0) {
        const log = new TextDecoder().decode(text('nvrtcGetProgramLogSize', 'nvrtcGetProgramLog', program));
        throw new ArtefactError(
          'A010',
          `${name} refuses the code of ${job.name} (${errorText(result)}, ${options.join(' ')}):\n${log.replace(/\0+$/, '').trim()}\n` +
            'Compile the layer again with a compiler of this release, and report it if it stays',
        );
      }
      const bytes =
        kind === 'cubin'
          ? text('nvrtcGetCUBINSize', 'nvrtcGetCUBIN', program)
          : text('nvrtcGetPTXSize', 'nvrtcGetPTX', program);
      return { bytes, kind, origin: `${name}, ${arch}` };
    } finally {
      functions.nvrtcDestroyProgram(out);
    }
  };
  return { path, version, known, name, compile };
}

/** Folders with cuda_fp16.h and its like, where the toolkit is installed. */
const includes = (): readonly string[] =>
  toolkitFolders()
    .map((folder) => join(folder, 'include'))
    .filter((folder) => existsSync(folder))
    .map((folder) => `--include-path=${folder}`);
