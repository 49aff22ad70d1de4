/** Opening a WASM device: finds out what the engine can do, and what of it is asked for. */
import { type DeviceInfo, RuntimeError } from '@espalier/runtime';
import { WasmDevice } from './device.ts';
import { hardwareThreads } from './environment.ts';
import { DeviceMemory } from './memory.ts';
import { sharedMemoryRefusal, supports } from './probes.ts';

export interface WasmOptions {
  /**
   * Threads that kernels run on, the caller's included: 1 unless told; `'auto'` for as many as the machine runs at once. Where
   * shared memory is refused the device has one thread, and `info.capabilities['threads-refused']` says why.
   */
  readonly threads?: number | 'auto';
  /** `false`: the device behaves as if the engine had no relaxed SIMD. `true`: an error where it has none. `'auto'` unless told. */
  readonly relaxedSimd?: boolean | 'auto';
  /**
   * `true`: turns on V8's 256-bit mode, or rejects where a self-check finds that it doesn't work; `'auto'`: turns it on where it
   * works, and else `info.capabilities['simd-256-refused']` says why. `false` unless told, since it is an experimental flag of
   * the engine that holds for all WebAssembly that this process compiles from then on. Kernels gain by it that were compiled
   * with `wasmCapabilities(device.info)`.
   */
  readonly wide?: boolean | 'auto';
  /** `false`: never share memory, so one thread. `true`: share even for one thread. As threads need it unless told. */
  readonly shared?: boolean;
  /** Most bytes the memory may grow to, at most and unless told 4 GiB. */
  readonly maximumBytes?: number;
  /**
   * A launch whose operations and bytes are both fewer runs on one thread; and so do runs of less than a hundred times that while
   * the other threads sleep, since waking them would take longer. 0: all threads take part in all. Results don't depend on it.
   */
  readonly minimumWork?: number;
}

const MOST_THREADS = 64;
/** Some 3 µs of work for one core: meeting spinning threads costs less than 1 µs. */
const MINIMUM_WORK = 100_000;

const threadCount = (threads: WasmOptions['threads']): number => {
  if (threads === 'auto') return Math.min(MOST_THREADS, hardwareThreads());
  const count = threads ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS)
    throw new RuntimeError('R023', `threads is ${count}; give a number from 1 to ${MOST_THREADS}, or 'auto'`);
  return count;
};

/**
 * Opens a device. Rejects with RuntimeError R020 (no memory to be had), R022 or R024 (a worker thread does not start), R023
 * (options that cannot be met).
 */
export async function openWasm(options: WasmOptions = {}): Promise<WasmDevice> {
  const wanted = threadCount(options.threads);
  const hasRelaxed = supports('relaxedSimd');
  if (options.relaxedSimd === true && !hasRelaxed)
    throw new RuntimeError('R023', "this engine has no relaxed SIMD; open the device with relaxedSimd: 'auto'");
  const wantsSharing = options.shared ?? wanted > 1;
  const refusal = wantsSharing ? sharedMemoryRefusal() : wanted > 1 ? 'shared memory was turned off' : undefined;
  if (options.shared === true && refusal !== undefined && wanted === 1)
    throw new RuntimeError('R023', `memory cannot be shared: ${refusal}; or open the device without shared: true`);
  const shared = wantsSharing && refusal === undefined;
  const threads = shared ? wanted : 1;
  const relaxed = hasRelaxed && options.relaxedSimd !== false;
  // Imported when asked for, as the pool is: a page that uses neither fetches neither.
  const narrow = options.wide ? (await import('./wide.ts')).turnWideOn() : undefined;
  if (options.wide === true && narrow !== undefined)
    throw new RuntimeError('R023', `${narrow}; open the device with wide: 'auto' or without it`);
  const wide = Boolean(options.wide) && narrow === undefined;
  const simd = `${relaxed ? 'relaxed SIMD' : 'plain SIMD'}${wide ? ', 256-bit' : ''}`;
  const info: DeviceInfo = {
    target: 'wasm',
    name: `wasm, ${threads === 1 ? '1 thread' : `${threads} threads`}, ${simd}`,
    capabilities: {
      simd: supports('simd'),
      'relaxed-simd': relaxed,
      'simd-256': wide,
      threads,
      'shared-memory': shared,
      ...(refusal !== undefined && { 'threads-refused': refusal }),
      ...(narrow !== undefined && { 'simd-256-refused': narrow }),
    },
  };
  const memory = new DeviceMemory({ shared, maximumBytes: options.maximumBytes ?? 2 ** 32 });
  const minimumWork = options.minimumWork ?? MINIMUM_WORK;
  if (threads === 1) return new WasmDevice({ info, memory, pool: undefined, minimumWork });
  const { WorkerPool } = await import('./pool.ts');
  const pool = new WorkerPool(threads);
  try {
    await pool.open(memory.memory);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return new WasmDevice({ info, memory, pool, minimumWork });
}

/** What the compiler's WASM target is told about an engine. */
export interface WasmCapabilities {
  readonly 'relaxed-simd': boolean;
  readonly 'simd-256': boolean;
  readonly [name: string]: boolean;
}

/**
 * The capabilities to compile for a WASM device with: `compile(layer, { target: wasm, capabilities: wasmCapabilities(device.info) })`.
 * Artefacts compiled without any run on every engine that has relaxed SIMD.
 */
export const wasmCapabilities = ({ capabilities }: DeviceInfo): WasmCapabilities => ({
  'relaxed-simd': capabilities['relaxed-simd'] === true,
  'simd-256': capabilities['simd-256'] === true,
});
