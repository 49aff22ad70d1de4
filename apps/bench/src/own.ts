/** Our own kernels as contenders: plain 128-bit, or 256-bit where the engine fuses; inputs and outputs stay in WebAssembly's memory. */
import { compileGraph, type Tuning, tuned, wasm } from '@espalier/codegen';
import { loadGraph } from '@espalier/runtime';
import { openWasm, wasmCapabilities } from '@espalier/runtime-wasm';
import type { Absence, Contender, Work } from './contract.ts';

/** In this order: 128-bit kernels must have been timed before the engine is told to fuse, which it then does for all. */
export const modes = ['plain', 'wide'] as const;
export type Mode = (typeof modes)[number];

/** Gets ready, with the forms of a tuning if one is given; an Absence where the engine can't do what the mode asks, or the tuning is for the other mode. */
export async function prepareOwn(
  work: Work,
  mode: Mode,
  threads: number,
  tuning: Tuning | null = null,
): Promise<Contender | Absence> {
  if (tuning !== null && (tuning.capabilities['simd-256'] === true) !== (mode === 'wide'))
    return { reason: `the tuning is for ${mode === 'wide' ? '128' : '256'}-bit kernels` };
  const device = await openWasm({ threads, wide: mode === 'wide' ? 'auto' : false });
  const refusal = device.info.capabilities['simd-256-refused'];
  if (mode === 'wide' && refusal !== undefined) {
    device[Symbol.dispose]();
    return { reason: String(refusal) };
  }
  const capabilities = wasmCapabilities(device.info);
  const compiled = await compileGraph(work.graph, {
    target: tuning === null ? wasm : tuned(wasm, tuning),
    capabilities,
  });
  const graph = await loadGraph(device, compiled, work.graph.weights);
  const prepared = await graph.prepare(work.dims);
  const feed = (): void => {
    for (const [name, data] of Object.entries(work.inputs)) prepared.inputs[name]?.set(data);
  };
  feed();
  const again = work.next === undefined ? () => undefined : feed;
  return {
    run:
      threads === 1
        ? () => {
            again();
            prepared.runSync();
          }
        : async () => {
            again();
            await prepared.run();
          },
    output: () => Float32Array.from(prepared.outputs[work.graph.outputs[0] ?? ''] as Float32Array),
    dispose: () => {
      prepared[Symbol.dispose]();
      graph[Symbol.dispose]();
      device[Symbol.dispose]();
    },
  };
}
