import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { openCheckpoint, graphOf, readSafetensors, toFloat32, toInt32, checkInputs, loadTokenizer, feedText } from './src/index.ts';
import { compileGraph, wasm } from '@espalier/codegen';
import { loadGraph } from '@espalier/runtime';
import { openWasmTarget } from '@espalier/runtime-wasm';
const spec = process.env['SPEC'] ?? 'wasm';
const device = await openWasmTarget(spec);
for (const folder of process.argv.slice(2)) {
  try {
  const t0 = performance.now();
  const ck = await openCheckpoint(folder);
  const model = graphOf(ck, { outputs: 'all' });
  const t1 = performance.now();
  const compiled = await compileGraph(model.graph, { target: wasm, capabilities: { 'relaxed-simd': !spec.includes('plain') } });
  const t2 = performance.now();
  const g = await loadGraph(device, compiled, model.graph.weights as never);
  const t3 = performance.now();
  for (const file of readdirSync(folder).filter((f) => /^golden.*\.safetensors$/.test(f))) {
    const golden = readSafetensors(readFileSync(folder + '/' + file)).tensors;
    const meta = JSON.parse(readFileSync(folder + '/golden.json', 'utf8'));
    const rec = (meta.variants?.[file] ?? meta).max_abs_diff_f32_vs_f64 ?? {};
    const ids = golden.get('input_ids')!;
    const [batch, sequence] = ids.shape as [number, number];
    const raw: Record<string, Int32Array> = {};
    for (const n of ['input_ids', 'attention_mask', 'token_type_ids']) if (golden.has(n)) raw[n] = toInt32(golden.get(n)!);
    const { inputs, dims } = checkInputs(model, { batch, sequence }, raw as never) as never as { inputs: Record<string, Int32Array>; dims: Record<string, number> };
    const out = await g.run({ inputs, dims, keep: 'all' } as never) as Map<string, { data: Float32Array }>;
    const ts: number[] = []; for (let i = 0; i < 10; i++) { const s = performance.now(); await g.run({ inputs, dims } as never); ts.push(performance.now() - s); }
    ts.sort((a, b) => a - b);
    const lines: string[] = [];
    for (const [name, t] of golden) {
      if (name.endsWith('.f64') || t.dtype !== 'F32') continue;
      const key = (model.outputs as Map<string, string>).get(name) ?? name;
      const o = out.get(key); if (!o) continue;
      const ref = golden.get(name + '.f64'); const want = toFloat32(t);
      if (want.length !== o.data.length) { lines.push(`${name} length ${want.length} ${o.data.length}`); continue; }
      let d = 0; for (let i = 0; i < want.length; i++) d = Math.max(d, Math.abs(want[i]! - o.data[i]!) || (Number.isNaN(o.data[i]!) ? 1e9 : 0));
      const allowed = rec[name] ? 2 * rec[name] + 1e-6 : NaN;
      lines.push(`${name} ${d.toExponential(1)}/${allowed.toExponential(1)}${d > allowed ? ' <<<<' : ''}`);
    }
    console.log(folder.split('/').pop(), file, `open ${(t1 - t0).toFixed(0)} compile ${(t2 - t1).toFixed(0)} load ${(t3 - t2).toFixed(0)} run ${ts[0]!.toFixed(2)}..${ts[5]!.toFixed(2)} ms`, lines.join('; '));
  }
  } catch (e) { console.log(folder, e); }
}
device[Symbol.dispose]();
