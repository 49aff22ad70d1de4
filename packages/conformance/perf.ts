import { compile, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openWasmTarget } from '@espalier/runtime-wasm';
import { randomTensors } from './src/index.ts';

const device = await openWasmTarget(process.env['SPEC'] ?? 'wasm');
const cases: [string, Record<string, number>, Record<string, number>[], (r: Record<string, number>) => number][] = [
  ['ff', { D: 768, H: 3072, O: 768 }, [{ T: 1 }, { T: 16 }, { T: 128 }], (r) => 4 * 768 * 3072 * r['T']!],
  ['fff', { D: 768, O: 768, trees: 1, depth: 11 }, [{ T: 1 }, { T: 128 }, { T: 1024 }], (r) => 12 * 4 * 768 * r['T']!],
  ['linear', { D: 128, O: 384 }, [{ T: 64 }], (r) => 2 * 128 * 384 * r['T']!],
  ['attention', { heads: 12, width: 64 }, [{ B: 1, S: 128 }], (r) => 4 * 128 * 128 * 768],
  ['layer_norm', { D: 768 }, [{ T: 128 }], (r) => 8 * 128 * 768],
];
for (const [name, dims, runs, flops] of cases) {
  const ir = standardLayer(name, { dims });
  const t0 = performance.now();
  const artefact = await compile(ir, { target: wasm });
  const t1 = performance.now();
  for (const r of runs) {
    const tensors = randomTensors(ir, r, 3, { mask: 2 });
    if (tensors['mask']) (tensors['mask'] as Int32Array).fill(1);
    const pick = (role: string) =>
      Object.fromEntries(Object.entries(tensors).filter(([n]) => ir.tensors.find((t) => t.name === n)!.role === role));
    using layer = await loadLayer(device, artefact, pick('weight'));
    const inputs = pick('input');
    const times: number[] = [];
    const end = performance.now() + 1500;
    while (performance.now() < end) {
      const s = performance.now();
      await layer.run(inputs, { dims: r, outputs: 'view' });
      times.push(performance.now() - s);
    }
    times.sort((a, b) => a - b);
    const med = times[times.length >> 1]!;
    console.log(
      name,
      JSON.stringify(r),
      `compile ${(t1 - t0).toFixed(0)} ms`,
      `${(med * 1000).toFixed(1)} us`,
      `${((med * 1000) / (r['T'] ?? r['S']!)).toFixed(2)} us/token`,
      `${(flops(r) / med / 1e6).toFixed(1)} GFLOP/s`,
      times.length,
    );
  }
}
device[Symbol.dispose]();
