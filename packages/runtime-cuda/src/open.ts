/** Opening a CUDA device, and the texts by which tools name one. */
import { type DeviceInfo, RuntimeError } from '@espalier/runtime';
import { defaultCacheFolder } from './compile/cache.ts';
import { type CompilerChoice, imageSource } from './compile/image.ts';
import { CudaDevice } from './device.ts';
import { Context } from './driver/context.ts';
import { describeDevice, deviceOf, startDriver } from './driver/devices.ts';

export interface CudaOptions {
  /** Which of the devices that the driver shows, from 0; CUDA_VISIBLE_DEVICES chooses and orders them. */
  readonly ordinal?: number;
  /** What makes code of CUDA C: `auto` unless told. */
  readonly compiler?: CompilerChoice;
  /** Folder to keep compiled code in; the user's cache folder unless told; `false` for none. */
  readonly cache?: string | false;
  /** Whether submissions become CUDA graphs: `auto` unless told, from their second run on where they have several launches. */
  readonly graphs?: boolean | 'auto';
  /** Path of the CUDA driver library; the one the system finds unless told. */
  readonly library?: string;
  /** Path of nvcc; the one on the PATH unless told. */
  readonly nvcc?: string;
  /** Path of the NVRTC library; the toolkit's unless told. */
  readonly nvrtc?: string;
}

const WAY_OUT = "install NVIDIA's driver, or run on another target; cudaReport() says what was found on this machine";

/**
 * Opens a device. Rejects with RuntimeError R026 (no driver, no device, or none of that ordinal), R027 (the driver reports an
 * error of its own), R020 (no memory for a context).
 */
export async function openCuda(options: CudaOptions = {}): Promise<CudaDevice> {
  const started = startDriver(options.library);
  if ('reason' in started) throw new RuntimeError('R026', `${started.reason}; ${WAY_OUT}`);
  const { driver, version, count } = started;
  const ordinal = options.ordinal ?? 0;
  if (!Number.isInteger(ordinal) || ordinal < 0 || ordinal >= count)
    throw new RuntimeError(
      'R026',
      `the driver shows ${count === 0 ? 'no device' : `devices 0 to ${count - 1}`}, not ${ordinal}; ` +
        'look at CUDA_VISIBLE_DEVICES and at what nvidia-smi lists',
    );
  const described = describeDevice(driver, ordinal);
  const context = new Context(driver, ordinal, deviceOf(driver, ordinal));
  const { name, sm, memoryBytes } = described;
  const info: DeviceInfo = {
    target: 'cuda',
    name: `cuda, ${name}, sm_${sm}, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, driver of CUDA ${version}`,
    capabilities: {
      sm,
      'tensor-cores': sm >= 80,
      f16: true,
      'warp-size': described.warpSize,
      'workgroup-threads': described.threadsPerBlock,
      'workgroup-bytes': described.sharedBytes,
      multiprocessors: described.multiprocessors,
      'memory-bytes': memoryBytes,
      'l2-bytes': described.l2Bytes,
      driver: version,
    },
  };
  const images = imageSource({
    sm,
    driver: version,
    compiler: options.compiler ?? 'auto',
    cache: options.cache ?? defaultCacheFolder(),
    nvcc: options.nvcc,
    nvrtc: options.nvrtc,
  });
  return new CudaDevice({ info, context, images, graphs: options.graphs ?? 'auto' });
}

const compilers: readonly CompilerChoice[] = ['auto', 'nvrtc', 'nvcc', 'ptx'];

/** The options that a target's text stands for: `cuda`, `cuda:1`, `cuda:nvcc`, `cuda:1,ptx`. Throws RuntimeError R023. */
export function parseCudaTarget(spec: string): CudaOptions {
  const unknown = (what: string): RuntimeError =>
    new RuntimeError('R023', `${what} in target "${spec}"; write cuda, cuda:1 for the second device, or cuda:0,nvcc`);
  const [name, rest, ...more] = spec.split(':');
  if (name !== 'cuda' || more.length > 0) throw unknown('not a CUDA target');
  let options: CudaOptions = {};
  for (const part of rest === undefined ? [] : rest.split(',')) {
    const compiler = compilers.find((one) => one === part);
    if (compiler !== undefined) options = { ...options, compiler };
    else if (/^\d+$/.test(part)) options = { ...options, ordinal: Number(part) };
    else throw unknown(`unknown option "${part}"`);
  }
  return options;
}

/** Opens the device that a text names. Rejects as `openCuda` does, and with RuntimeError R023 for any other text. */
export const openCudaTarget = async (spec: string): Promise<CudaDevice> => openCuda(parseCudaTarget(spec));
