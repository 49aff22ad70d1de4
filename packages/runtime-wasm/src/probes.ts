/** What the engine can do, found by asking it to validate the smallest module that uses each feature. */
import { engine } from './engine.ts';

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module of one function without parameters whose body, after no locals, is `code`, ending in a v128 that is dropped. */
const functionProbe = (...code: readonly number[]): Uint8Array => {
  const body = [0x00, ...code, 0x1a, 0x0b];
  return Uint8Array.from([
    ...header,
    ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x0a, body.length + 2, 0x01, body.length, ...body],
  ]);
};

const zeroVector = [0x41, 0x00, 0xfd, 0x0f];

const probes = {
  /** i8x16.splat */
  simd: functionProbe(...zeroVector),
  /** f32x4.relaxed_madd */
  relaxedSimd: functionProbe(...zeroVector, ...zeroVector, ...zeroVector, 0xfd, 0x85, 0x02),
} as const;

/** A feature of the engine. */
export type Feature = keyof typeof probes;

/** Whether the engine accepts code that uses `feature`. False also where there is no WebAssembly at all. */
export function supports(feature: Feature): boolean {
  try {
    return engine().validate(probes[feature]);
  } catch {
    return false;
  }
}

const HEADERS = 'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

/** Why memory cannot be shared among threads here; undefined when it can. Observed by making some. */
export function sharedMemoryRefusal(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return `SharedArrayBuffer is hidden; send ${HEADERS}`;
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false)
    return `the page is not cross-origin isolated; send ${HEADERS}`;
  try {
    const { buffer } = new (engine().Memory)({ initial: 1, maximum: 1, shared: true });
    return buffer instanceof SharedArrayBuffer ? undefined : 'the engine refuses shared memory';
  } catch (error) {
    return `the engine refuses shared memory (${(error as Error).message})`;
  }
}
