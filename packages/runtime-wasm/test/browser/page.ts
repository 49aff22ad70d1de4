/** What the browser test runs in a page: fetches a compiled graph, runs it on a device, and hands plain data back. */
import { decodeGraph } from '@espalier/artefact';
import { loadGraph, type WeightTensor } from '@espalier/runtime';
import { openWasm, type WasmOptions } from '@espalier/runtime-wasm';

/** What the test gives a page. */
export interface PageCall {
  readonly graph: string;
  readonly options: WasmOptions;
  readonly x: readonly number[];
  readonly ids: readonly number[];
  readonly table: readonly number[];
  readonly repeats: number;
}

/** What a page gives back. */
export interface PageResult {
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly isolated: boolean;
  readonly outputs: readonly (readonly number[])[];
  readonly error?: string;
}

async function run(call: PageCall): Promise<PageResult> {
  const response = (await fetch(call.graph)) as { arrayBuffer(): Promise<ArrayBuffer> };
  const compiled = decodeGraph(new Uint8Array(await response.arrayBuffer()));
  const device = await openWasm(call.options);
  const table: WeightTensor = { storage: 'f32', shape: [5, 3], data: Float32Array.from(call.table) };
  const graph = await loadGraph(device, compiled, new Map([['table', table]]));
  const outputs: number[][] = [];
  let error: string | undefined;
  try {
    for (let i = 0; i < call.repeats; i++) {
      const inputs = { x: Float32Array.from(call.x), ids: Int32Array.from(call.ids) };
      outputs.push([...((await graph.run({ inputs })).get('y')?.data ?? [])]);
    }
  } catch (thrown) {
    error = String(thrown);
  }
  graph.dispose();
  device.dispose();
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
  return { capabilities: device.info.capabilities, isolated, outputs, ...(error === undefined ? {} : { error }) };
}

Object.assign(globalThis, { runInPage: run });
