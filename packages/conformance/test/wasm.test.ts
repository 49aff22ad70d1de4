/** The suite on every variant of the WASM runtime. */

import { wasm } from '@espalier/codegen';
import { wasmVariants } from '@espalier/runtime-wasm';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runConformance } from '../src/index.ts';

for (const { name, open } of wasmVariants()) {
  const capabilities = { 'relaxed-simd': !name.includes('plain'), 'simd-256': name.includes('wide') };
  runConformance({ describe, it, beforeAll, afterAll }, { name, open, target: wasm, capabilities });
}
