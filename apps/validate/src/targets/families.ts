/** Every kind of target there is, in the order of reports' columns. */
import { chromiumFamily } from './chromium.ts';
import { cudaFamily, cudaHostFamily } from './cuda.ts';
import type { TargetFamily } from './family.ts';
import { simulatorFamily } from './simulator.ts';
import { wasmFamily } from './wasm.ts';
import { webgpuFamily } from './webgpu.ts';

export const families: readonly TargetFamily[] = [
  wasmFamily,
  webgpuFamily,
  chromiumFamily,
  cudaFamily,
  cudaHostFamily,
  simulatorFamily,
];
