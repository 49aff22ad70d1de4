/** Opening a WASM device: finds out what the engine can do, and names the variants that tests and tools ask for by a text. */
import { type DeviceInfo, RuntimeError } from '@espalier/runtime';
import { WasmDevice } from './device.ts';
import { hardwareThreads } from './environment.ts';
import { DeviceMemory } from './memory.ts';
import { WorkerPool } from './pool.ts';
import { sharedMemoryRefusal, supports } from './probes.ts';

export interface WasmOptions {
  /**
   * Threads that kernels run on, the caller's included: 1 unless told; `'auto'` for as many as the machine runs at once. Where
   * shared memory is refused the device has one thread, and `info.capabilities['threads-refused']` says why.
   */
  readonly threads?: number | 'auto';
  /** `false`: the device behaves as if the engine had no relaxed SIMD. `true`: an error where it has none. `'auto'` unless told. */
  readonly relaxedSimd?: boolean | 'auto';
  /** `false`: never share memory, so one thread. `true`: share even for one thread. As threads need it unless told. */
  readonly shared?: boolean;
  /** Most bytes the memory may grow to, at most and unless told 4 GiB. */
  readonly maximumBytes?: number;
  /**
   * A launch whose operations and bytes are both fewer runs on one thread, because waking the others would take longer. Results
   * don't depend on it.
   */
  readonly minimumWork?: number;
}

const MOST_THREADS = 64;
/** Some 20 µs of work for one core: more than waking a sleeping thread costs, and far more than a barrier (0.3 µs). */
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
  const info: DeviceInfo = {
    target: 'wasm',
    name: `wasm, ${threads === 1 ? '1 thread' : `${threads} threads`}, ${relaxed ? 'relaxed SIMD' : 'plain SIMD'}`,
    capabilities: {
      simd: supports('simd'),
      'relaxed-simd': relaxed,
      threads,
      'shared-memory': shared,
      ...(refusal === undefined ? {} : { 'threads-refused': refusal }),
    },
  };
  const memory = new DeviceMemory({ shared, maximumBytes: options.maximumBytes ?? 2 ** 32 });
  const minimumWork = options.minimumWork ?? MINIMUM_WORK;
  if (threads === 1) return new WasmDevice({ info, memory, pool: undefined, minimumWork });
  const pool = new WorkerPool(threads);
  try {
    await pool.open(memory.memory);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return new WasmDevice({ info, memory, pool, minimumWork });
}

/** A kind of device that tests and tools know by name. */
export interface WasmVariant {
  /** As `openWasmTarget` takes it. */
  readonly name: string;
  open(): Promise<WasmDevice>;
}

const variantNames = ['wasm', 'wasm:plain', 'wasm:threads=2', 'wasm:threads=2,plain'] as const;

/** The devices that results should be compared on: with relaxed SIMD and without, on one thread and on two. */
export const wasmVariants = (): readonly WasmVariant[] =>
  variantNames.map((name) => ({ name, open: () => openWasmTarget(name) }));

/**
 * Opens the device that a text names: `wasm`, then after a colon any of `plain` (no relaxed SIMD) and `threads=N` or
 * `threads=auto`, separated by commas. Throws RuntimeError R023 for any other text.
 */
export async function openWasmTarget(spec: string): Promise<WasmDevice> {
  return openWasm(parseWasmTarget(spec));
}

/** The options that a target's text stands for. Throws RuntimeError R023. */
export function parseWasmTarget(spec: string): WasmOptions {
  const unknown = (what: string): RuntimeError =>
    new RuntimeError(
      'R023',
      `${what} in target "${spec}"; write wasm, ${variantNames.slice(1).join(', ')} or threads=auto`,
    );
  const [name, rest, ...more] = spec.split(':');
  if (name !== 'wasm' || more.length > 0) throw unknown('not a WASM target');
  let options: WasmOptions = {};
  for (const part of rest === undefined ? [] : rest.split(',')) {
    const threads = /^threads=(auto|[1-9][0-9]*)$/.exec(part)?.[1];
    if (part === 'plain') options = { ...options, relaxedSimd: false };
    else if (threads === 'auto') options = { ...options, threads };
    else if (threads !== undefined) options = { ...options, threads: Number(threads) };
    else throw unknown(`unknown option "${part}"`);
  }
  return options;
}
