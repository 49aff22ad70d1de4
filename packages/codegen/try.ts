import { standardLayer, standardLayerNames } from '@espalier/ir';
import { compile, wasm, printKernel } from './src/index.ts';
const dims: Record<string, number> = { D: 128, H: 512, O: 128, W: 8, M: 12, depth: 4, trees: 2, heads: 4, width: 32, V: 100, P: 64, K: 2, C: 3, E: 4 };
await import('wabt');
for (const name of process.argv[3] ? [process.argv[3]] : standardLayerNames) {
  try {
    const probe = standardLayer(name, {});
    const d = Object.fromEntries(Object.entries(dims).filter(([k]) => probe.dims.includes(k)));
    if (name === 'masked_mean_pool' || name==='mean_pool' || name==='rows') {}
    const ir = standardLayer(name, { dims: d });
    for (const strategy of ['generic', 'best'] as const) {
    const t0 = performance.now(); const times: Record<string, number> = {};
    const a = await compile(ir, { target: wasm, strategy, observe: (s, k, ms) => { times[s] = (times[s] ?? 0) + ms; if (process.argv[2] === s && strategy==='best') console.log(printKernel(k)); } });
    console.log(name, strategy, (performance.now() - t0).toFixed(0), 'ms', a.source.length, a.binary?.length, WebAssembly.validate(a.binary as Uint8Array<ArrayBuffer>), a.manifest.launches.map(l => l.label.split(':')[0]).join(' '));
    if (process.argv[2] === 'time') console.log(JSON.stringify(times));
    if (process.argv[2] === 'wat') console.log(a.source);
    }
  } catch (e) { console.log(name, String(e).slice(0, 400)); if (process.argv[3]) throw e; }
}
