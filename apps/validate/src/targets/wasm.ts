/** WebAssembly in this Node: one thread or several, with relaxed SIMD or without, in 256-bit mode. */
import { availableParallelism } from 'node:os';
import { wasm } from '@espalier/codegen';
import { openWasmTarget, wasmCapabilities, wasmVariants } from '@espalier/runtime-wasm';
import { compilerFor } from './compiler.ts';
import type { TargetFamily } from './family.ts';

export const wasmFamily: TargetFamily = {
  name: 'wasm',
  known: wasmVariants().map((variant) => variant.name),
  defaults: () => ['wasm', 'wasm:plain', ...(availableParallelism() > 1 ? ['wasm:threads=2'] : [])],
  async open(spec) {
    const device = await openWasmTarget(spec);
    return {
      spec,
      device,
      threads: Number(device.info.capabilities['threads'] ?? 1),
      ...compilerFor(wasm, wasmCapabilities(device.info)),
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};
