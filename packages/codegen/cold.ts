import { standardLayer } from '@espalier/ir';
import { compile, wasm } from './src/index.ts';
import { loadAssembler } from './src/targets/wasm/assemble.ts';
await loadAssembler();
const D = 768;
const t0 = performance.now();
const layers = [standardLayer('linear', { dims: { D, O: D } }), standardLayer('attention', { dims: { heads: 12, width: 64 } }), standardLayer('add', { dims: { D } }), standardLayer('layer_norm', { dims: { D } }), standardLayer('ff', { dims: { D, H: 4 * D, O: D } })];
const t1 = performance.now();
const times: Record<string, number> = {};
let pass = 0; let asm = 0;
for (const l of layers) { const a = performance.now(); await compile(l, { target: wasm, observe: (s, k, ms) => { times[s] = (times[s] ?? 0) + ms; pass += ms; } }); console.log(l.name, (performance.now() - a).toFixed(1)); }
console.log('front', (t1 - t0).toFixed(1), 'compile', (performance.now() - t1).toFixed(1), 'passes', pass.toFixed(1), JSON.stringify(Object.fromEntries(Object.entries(times).map(([k, v]) => [k, +v.toFixed(1)]))));
