/**
 * The page: opens a device in the browser's own engine, loads graphs that were compiled elsewhere, runs them. No compiler is in
 * it, only what an application would ship. Each call is fetched from and answered to the server that the page came from.
 */
import { decodeGraph, type WeightData } from '@espalier/artefact';
import { type Device, type InputTensor, loadGraph, type WeightTensor } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';
import { openWebGpu } from '@espalier/runtime-webgpu';
import type { LoadedGraph } from '../targets/family.ts';
import { poisoned } from '../targets/poison.ts';
import { type Carried, type Envelope, pack, unpack } from './envelope.ts';
import type { Answer, Call, Loaded, Opened, Ran } from './messages.ts';

let device: Device | null = null;
const graphs = new Map<number, LoadedGraph>();

const opened = (): Device => {
  if (device === null) throw new Error('the page has opened no device');
  return device;
};
const graphOf = (id: number): LoadedGraph => {
  const graph = graphs.get(id);
  if (graph === undefined) throw new Error(`the page has no graph ${id}`);
  return graph;
};

async function carryOut(call: Call, arrays: readonly Carried[]): Promise<Envelope<Opened | Loaded | Ran | null>> {
  switch (call.kind) {
    case 'open': {
      device = call.engine === 'wasm' ? await openWasm() : await openWebGpu();
      const { target, name, capabilities } = device.info;
      return { body: { target, name, capabilities }, arrays: [] };
    }
    case 'load': {
      const compiled = decodeGraph(arrays[0] as Uint8Array);
      const weights = new Map(
        call.weights.map(({ name, storage, shape }, i): readonly [string, WeightTensor] => [
          name,
          { storage, shape, data: arrays[i + 1] as WeightData },
        ]),
      );
      const memory = call.poison ? poisoned(opened()) : opened();
      const options = call.prepared === null ? {} : { prepared: call.prepared };
      const graph = await loadGraph(memory, compiled, weights, options);
      graphs.set(call.id, graph);
      return { body: graph.memory, arrays: [] };
    }
    case 'run': {
      const inputs = new Map(
        call.inputs.map(({ name, shape }, i): readonly [string, InputTensor] => {
          const data = arrays[i] as WeightData;
          return [name, shape === null ? data : { data, shape }];
        }),
      );
      const graph = graphOf(call.id);
      const results = [
        ...(await graph.run({ inputs, keep: call.keep, ...(call.dims === null ? {} : { dims: call.dims }) })),
      ];
      return {
        body: { tensors: results.map(([name, { shape }]) => ({ name, shape })), memory: graph.memory },
        arrays: results.map(([, { data }]) => data),
      };
    }
    case 'free':
      graphs.get(call.id)?.[Symbol.dispose]();
      graphs.delete(call.id);
      return { body: null, arrays: [] };
  }
}

const codeOf = (error: unknown): string | null => {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : null;
};

/** Carries out the call at this address, and posts the answer there. Rejects only where the server is gone. */
async function answer(address: string): Promise<void> {
  let reply: Envelope<Answer>;
  try {
    const { body, arrays } = unpack(new Uint8Array(await (await fetch(address)).arrayBuffer()));
    const done = await carryOut(body as Call, arrays);
    reply = { body: { error: null, result: done.body }, arrays: done.arrays };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply = { body: { error: { message, code: codeOf(error) }, result: null }, arrays: [] };
  }
  await fetch(address, { method: 'POST', body: pack(reply) as Uint8Array<ArrayBuffer> });
}

Object.assign(globalThis, { espalierAnswer: answer });
