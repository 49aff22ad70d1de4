/** What the driver says of itself and of its devices, read without making a context. */
import { RuntimeError } from '@espalier/runtime';
import { ATTRIBUTE, type CallArguments, type DriverCall, RESULT } from './calls.ts';
import { Driver } from './driver.ts';

/** A device as the driver describes it. */
export interface CudaDeviceDescription {
  readonly ordinal: number;
  readonly name: string;
  /** Compute capability times ten: 90 for 9.0. */
  readonly sm: number;
  readonly multiprocessors: number;
  readonly warpSize: number;
  readonly memoryBytes: number;
  readonly l2Bytes: number;
  /** Shared memory of a block: what it may have, and what it may have when it asks for more than is usual. */
  readonly sharedBytes: number;
  readonly sharedBytesOptin: number;
  readonly threadsPerBlock: number;
  readonly clockKilohertz: number;
  readonly memoryClockKilohertz: number;
  readonly memoryBusBits: number;
}

/** A driver that has been initialised. */
export interface StartedDriver {
  readonly driver: Driver;
  /** CUDA version it supports: "13.0". */
  readonly version: string;
  readonly count: number;
}

/** The driver, or the reason for people why there is none to work with. Never throws. */
export function startDriver(library?: string): StartedDriver | { readonly reason: string; readonly driver?: Driver } {
  const driver = Driver.find(library);
  if ('reason' in driver) return driver;
  try {
    const words = new Int32Array(1);
    const started = driver.invoke('cuInit', 0);
    if (started !== RESULT.success && started !== RESULT.noDevice)
      return { reason: `cuInit of ${driver.path} says ${driver.describe(started)}`, driver };
    ask(driver, 'cuDriverGetVersion', words);
    const number = words[0] as number;
    const version = `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
    if (started === RESULT.noDevice)
      return { reason: `cuInit of ${driver.path} (CUDA ${version}) says ${driver.describe(started)}`, driver };
    ask(driver, 'cuDeviceGetCount', words);
    return { driver, version, count: words[0] as number };
  } catch (error) {
    return { reason: error instanceof Error ? error.message.replace(/^R\d+: /, '') : String(error), driver };
  }
}

/** Makes a call that needs no context. Throws RuntimeError R027 with what the driver says. */
export function ask<Name extends DriverCall>(driver: Driver, name: Name, ...args: CallArguments<Name>): void {
  const result = driver.invoke(name, ...args);
  if (result !== RESULT.success)
    throw new RuntimeError('R027', `${name} says ${driver.describe(result)}; look at what nvidia-smi says of the GPU`);
}

/** The CUdevice of `ordinal`. Throws RuntimeError R027. */
export function deviceOf(driver: Driver, ordinal: number): number {
  const word = new Int32Array(1);
  ask(driver, 'cuDeviceGet', word, ordinal);
  return word[0] as number;
}

/** What the driver says of a device. Throws RuntimeError R027. */
export function describeDevice(driver: Driver, ordinal: number): CudaDeviceDescription {
  const device = deviceOf(driver, ordinal);
  const name = new Uint8Array(256);
  ask(driver, 'cuDeviceGetName', name, name.length, device);
  const bytes = new BigUint64Array(1);
  ask(driver, 'cuDeviceTotalMem_v2', bytes, device);
  const attribute = (which: keyof typeof ATTRIBUTE): number => {
    const value = new Int32Array(1);
    ask(driver, 'cuDeviceGetAttribute', value, ATTRIBUTE[which], device);
    return value[0] as number;
  };
  return {
    ordinal,
    name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
    sm: 10 * attribute('major') + attribute('minor'),
    multiprocessors: attribute('multiprocessors'),
    warpSize: attribute('warpSize'),
    memoryBytes: Number(bytes[0]),
    l2Bytes: attribute('l2Bytes'),
    sharedBytes: attribute('sharedBytes'),
    sharedBytesOptin: attribute('sharedBytesOptin'),
    threadsPerBlock: attribute('threadsPerBlock'),
    clockKilohertz: attribute('clockKilohertz'),
    memoryClockKilohertz: attribute('memoryClockKilohertz'),
    memoryBusBits: attribute('memoryBusBits'),
  };
}
