/** The variants of a device that tests and tools know by a text. */
import { RuntimeError } from '@espalier/runtime';
import type { WasmDevice } from './device.ts';
import { openWasm, type WasmOptions } from './open.ts';
import { wideRefusal } from './wide.ts';

/** A kind of device that tests and tools know by name. */
export interface WasmVariant {
  /** As `openWasmTarget` takes it. */
  readonly name: string;
  open(): Promise<WasmDevice>;
}

const variantNames = ['wasm', 'wasm:plain', 'wasm:threads=2', 'wasm:threads=2,plain'] as const;

/**
 * The devices that results should be compared on: with relaxed SIMD and without, on one thread and on two, and where the engine
 * has it, in 256-bit mode. That one is last, since the mode stays on in the process.
 */
export const wasmVariants = (): readonly WasmVariant[] =>
  [...variantNames, ...(wideRefusal() === undefined ? ['wasm:wide'] : [])].map((name) => ({
    name,
    open: () => openWasmTarget(name),
  }));

/**
 * Opens the device that a text names: `wasm`, then after a colon any of `plain` (no relaxed SIMD), `wide` (256-bit mode, as
 * `wide: true`) and `threads=N` or `threads=auto`, separated by commas. Throws RuntimeError R023 for any other text.
 */
export async function openWasmTarget(spec: string): Promise<WasmDevice> {
  return openWasm(parseWasmTarget(spec));
}

/** The options that a target's text stands for. Throws RuntimeError R023. */
export function parseWasmTarget(spec: string): WasmOptions {
  const unknown = (what: string): RuntimeError =>
    new RuntimeError(
      'R023',
      `${what} in target "${spec}"; write wasm, ${variantNames.slice(1).join(', ')}, wasm:wide or threads=auto`,
    );
  const [name, rest, ...more] = spec.split(':');
  if (name !== 'wasm' || more.length > 0) throw unknown('not a WASM target');
  let options: WasmOptions = {};
  for (const part of rest === undefined ? [] : rest.split(',')) {
    const threads = /^threads=(auto|[1-9][0-9]*)$/.exec(part)?.[1];
    if (part === 'plain') options = { ...options, relaxedSimd: false };
    else if (part === 'wide') options = { ...options, wide: true };
    else if (threads === 'auto') options = { ...options, threads };
    else if (threads !== undefined) options = { ...options, threads: Number(threads) };
    else throw unknown(`unknown option "${part}"`);
  }
  return options;
}
