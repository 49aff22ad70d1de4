import { wasm } from '@espalier/codegen';
import { layerFromText, standardLayer, standardLayerNames, standardSource } from '@espalier/ir';
import { openWasmTarget } from '@espalier/runtime-wasm';
import { compareLayer, randomTensors } from './src/index.ts';

const device = await openWasmTarget(process.env['SPEC'] ?? 'wasm');
const plain = (process.env['SPEC'] ?? '').includes('plain');
for (const name of process.argv[2] ? [process.argv[2]] : standardLayerNames) {
  for (const set of [
    { D: 24, H: 40, O: 24, W: 8, M: 12, depth: 3, trees: 2, heads: 2, width: 8, V: 50, P: 64, K: 2, C: 3, E: 4 },
    { D: 35, H: 70, O: 19, W: 5, M: 7, depth: 5, trees: 1, heads: 3, width: 5, V: 11, P: 17, K: 3, C: 2, E: 1 },
    { D: 3, H: 5, O: 2, W: 1, M: 1, depth: 0, trees: 1, heads: 1, width: 1, V: 1, P: 9, K: 1, C: 1, E: 2 },
  ] as Record<string, number>[]) {
    const params = /layer \w+\(([^;)]*)/
      .exec(standardSource(name))![1]!
      .split(',')
      .map((s) => s.trim());
    const runtime = new Set(['T', 'B', 'S', 'N']);
    const dims = Object.fromEntries(
      params.filter((p) => !runtime.has(p)).map((p) => [p, name === 'rows' && p === 'P' ? 7 : set[p]!]),
    );
    const ir = standardLayer(name, { dims });
    for (const run of [
      { T: 13, B: 2, S: 7, N: 3 },
      { T: 1, B: 1, S: 1, N: 1 },
      { T: 100, B: 3, S: 9, N: 8 },
      { T: 0, B: 0, S: 5, N: 0 },
    ] as Record<string, number>[]) {
      const rd = Object.fromEntries(ir.dims.map((d) => [d, run[d]!]));
      const tensors = randomTensors(ir, rd, 7, { ids: set['V']!, types: set['K']!, at: rd['T'] ?? 1, mask: 2 });
      for (const strategy of ['generic', 'best'] as const) {
        try {
          const diff = await compareLayer(device, ir, rd, tensors, {
            target: wasm,
            strategy,
            capabilities: { 'relaxed-simd': !plain },
          });
          if (diff) console.log(name, JSON.stringify(dims), JSON.stringify(rd), strategy, diff);
        } catch (e) {
          console.log(name, JSON.stringify(dims), JSON.stringify(rd), strategy, String(e).slice(0, 500));
          if (process.argv[2]) throw e;
        }
      }
    }
  }
  console.log(name, 'done');
}
device[Symbol.dispose]();
