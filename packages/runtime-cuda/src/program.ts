/** Loading an artefact on a CUDA device: every check that can be made before anything runs, then code into the driver. */
import { type Artefact, ArtefactError, type Manifest } from '@espalier/artefact';
import { checkCompiledFor, type DeviceInfo, type Program } from '@espalier/runtime';
import type { KernelImage } from './compile/compiler.ts';
import { loweredPtx } from './compile/ptx-version.ts';
import { FUNCTION_ATTRIBUTE, JIT, RESULT, stickyResults } from './driver/calls.ts';
import type { Context } from './driver/context.ts';

/** A kernel as the driver knows it. */
export interface CudaFunction {
  readonly handle: bigint;
  readonly name: string;
  /** Threads of a block. */
  readonly threads: number;
}

/** A loaded artefact: a module of the driver, with a function for each launch of the manifest. */
export class CudaProgram implements Program {
  readonly manifest: Manifest;
  readonly functions: readonly CudaFunction[];
  /** What made the code, for people: "nvcc 13.0, sm_90". */
  readonly origin: string;
  readonly #owner: object;
  readonly #free: () => void;
  #disposed = false;

  /** `owner` stands for the device; `free` unloads the module. */
  constructor(
    owner: object,
    manifest: Manifest,
    loaded: { readonly functions: readonly CudaFunction[]; readonly origin: string },
    free: () => void,
  ) {
    this.#owner = owner;
    this.manifest = manifest;
    this.functions = loaded.functions;
    this.origin = loaded.origin;
    this.#free = free;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether it was loaded on the device that `owner` stands for. */
  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#free();
  }
}

/** Throws ArtefactError A002, A008 or A009 unless a device of `info` can load the artefact. */
export function checkLoadable({ manifest }: Artefact, info: DeviceInfo): void {
  checkCompiledFor(info.target, manifest);
  for (const need of manifest.requires) {
    const lack = lacking(need, info.capabilities);
    if (lack !== undefined)
      throw new ArtefactError(
        'A009',
        `${manifest.name} needs ${need}, ${info.name} ${lack}; compile the layer for this device, or use another`,
      );
  }
}

/** What a device lacks of a need: "tensor-cores", or "sm=80" for at least 80 where it is a number. */
function lacking(need: string, capabilities: DeviceInfo['capabilities']): string | undefined {
  const [name = '', value] = need.split('=');
  const has = capabilities[name];
  if (value === undefined) return has === undefined || has === false || has === 0 ? 'has none' : undefined;
  if (typeof has === 'number') return has >= Number.parseInt(value, 10) ? undefined : `has ${name}=${has}`;
  return String(has) === value ? undefined : has === undefined ? 'has none' : `has ${name}=${has}`;
}

const LOG_BYTES = 1 << 16;

/** Gives code to the driver, of CUDA version `driver`. Throws ArtefactError A010 with what its compiler says; RuntimeError R020 or R022. */
export function loadModule(context: Context, manifest: Manifest, image: KernelImage, driver: string): bigint {
  const logs = { error: new Uint8Array(LOG_BYTES), info: new Uint8Array(LOG_BYTES) };
  const options = Int32Array.of(JIT.errorLog, JIT.errorLogBytes, JIT.infoLog, JIT.infoLogBytes);
  const size = BigInt(LOG_BYTES);
  const values = BigUint64Array.of(context.addressOf(logs.error), size, context.addressOf(logs.info), size);
  const out = new BigUint64Array(1);
  const load = (code: Uint8Array): number => {
    // The driver reads PTX up to a zero byte.
    const bytes = new Uint8Array(code.length + 1);
    bytes.set(code);
    return context.attempt('cuModuleLoadDataEx', out, bytes, options.length, options, values);
  };
  let result = load(image.bytes);
  const lowered =
    result === RESULT.unsupportedPtxVersion && image.kind === 'ptx' ? loweredPtx(image.bytes, driver) : undefined;
  if (lowered) result = load(lowered);
  if (result === RESULT.success) return out[0] as bigint;
  const what = `loading ${manifest.name} (${image.origin})`;
  if (result === RESULT.outOfMemory || stickyResults.has(result))
    throw context.failure('cuModuleLoadDataEx', result, { what });
  const log = [textOf(logs.error), textOf(logs.info)].filter((text) => text !== '').join('\n');
  throw new ArtefactError(
    'A010',
    `${what}: cuModuleLoadDataEx says ${context.driver.describe(result)}${log === '' ? '' : `:\n${log}\n`}; ` +
      'compile it on this machine (nvcc or NVRTC), or for an older architecture, or install a newer driver',
  );
}

const textOf = (log: Uint8Array): string => new TextDecoder().decode(log.subarray(0, log.indexOf(0))).trim();

/** The functions of a module, one for each launch. Throws ArtefactError A010 (not there), A009 (too many threads for its registers). */
export function functionsOf(context: Context, manifest: Manifest, module: bigint): readonly CudaFunction[] {
  return manifest.launches.map(({ kernel, workgroup }) => {
    const out = new BigUint64Array(1);
    const result = context.attempt('cuModuleGetFunction', out, module, kernel);
    if (result !== RESULT.success) {
      if (result === RESULT.outOfMemory || stickyResults.has(result))
        throw context.failure('cuModuleGetFunction', result, { what: `loading ${manifest.name}` });
      throw new ArtefactError(
        'A010',
        `the code of ${manifest.name} has no kernel ${kernel}: cuModuleGetFunction says ${context.driver.describe(result)}; compile the layer again`,
      );
    }
    const handle = out[0] as bigint;
    const attribute = (which: number): number => {
      const value = new Int32Array(1);
      const what = `looking at kernel ${kernel} of ${manifest.name}`;
      context.call({ what }, 'cuFuncGetAttribute', value, which, handle);
      return value[0] as number;
    };
    const threads = workgroup ?? 1;
    const most = attribute(FUNCTION_ATTRIBUTE.threadsPerBlock);
    if (threads > most)
      throw new ArtefactError(
        'A009',
        `kernel ${kernel} of ${manifest.name} has blocks of ${threads} threads with ${attribute(FUNCTION_ATTRIBUTE.registers)} registers each, ` +
          `of which this device runs ${most} at most; schedule it with fewer threads`,
      );
    return { handle, name: kernel, threads };
  });
}
