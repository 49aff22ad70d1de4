/** One case through all contenders: outputs compared first, with the float64 interpreter and so with each other, then counts. */
import { encodeGraph } from '@espalier/artefact';
import { compileGraph, wgsl } from '@espalier/codegen';
import { interpretGraph, Sizes } from '@espalier/ir';
import type { Bench } from './browser.ts';
import type { Case, Writing } from './cases.ts';
import { addTo, type Counts, newTally } from './counts.ts';
import { differenceOf, TOLERANCE } from './difference.ts';
import type { Contender, PageCall, PageResult, PlainTensor, WeightPlace } from './page.ts';

/**
 * onnxruntime-web has two WebGPU providers: that of `onnxruntime-web/webgpu`, which is ONNX Runtime's own, and that of the
 * plain import, written in TypeScript.
 */
export type Provider = 'webgpu' | 'default';

/** An onnxruntime-web to compare with. */
export interface Peer {
  readonly provider: Provider;
  readonly writing: Writing;
  /** Sizes told when the session is made, so that what follows from them is folded away. */
  readonly fixed?: boolean;
}

/** One line of the comparison. */
export interface Row {
  readonly case: string;
  readonly contender: string;
  /** Absent: Espalier. */
  readonly peer?: Peer;
  /** Loading and the first forward. */
  readonly cold: Counts;
  /** A forward once everything is there. */
  readonly warm: Counts;
  /** Largest difference from the float64 interpreter, relative to the largest value of the output. */
  readonly difference: number;
  /** Dispatches of the warm forward by pipeline label. */
  readonly labels: Readonly<Record<string, number>>;
  readonly adapter: string;
  /** The program's own counters, where it has any. */
  readonly own?: Readonly<Record<string, number>>;
}

const bundles: Readonly<Record<Provider, string>> = {
  webgpu: '/ort/ort.webgpu.bundle.min.mjs',
  default: '/ort/ort.bundle.min.mjs',
};

/** A peer's name in tables. */
export const nameOf = ({ provider, writing, fixed }: Peer): string =>
  `onnxruntime-web${provider === 'webgpu' ? '/webgpu' : ''}, ${writing}${fixed === true ? ', sizes fixed' : ''}`;

/** The peers that a case has ONNX models for; `sparing`: those with ONNX Runtime's own provider at its defaults only. */
export function peersOf({ onnx }: Case, sparing = false): readonly Peer[] {
  const writings = (['exported', 'plain', 'fused'] as const).filter((writing) => onnx[writing] !== undefined);
  const own = writings.map((writing): Peer => ({ provider: 'webgpu', writing }));
  if (sparing) return own;
  const usual = writings.includes('plain') ? 'plain' : 'exported';
  return [...own, { provider: 'webgpu', writing: usual, fixed: true }, { provider: 'default', writing: usual }];
}

/** Publishes the files of a case; answers what every call says of it. */
async function publish({ server }: Bench, from: Case): Promise<Omit<PageCall, 'contender' | 'model'>> {
  const { name, graph, dims, inputs, onnx, runs } = from;
  const put = (file: string, bytes: Uint8Array): void => server.put(`/${name}/${file}`, bytes);
  put('espalier', encodeGraph(await compileGraph(graph, { target: wgsl })));
  for (const [writing, bytes] of Object.entries(onnx)) put(`${writing}.onnx`, bytes);
  const places: WeightPlace[] = [];
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const { name: weightName, storage, shape, data } of graph.weights.values()) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    places.push({ name: weightName, storage, shape, byteOffset: end, length: data.length });
    const padding = new Uint8Array(-bytes.length & 3);
    parts.push(bytes, padding);
    end += bytes.length + padding.length;
  }
  put('weights', Buffer.concat(parts));
  const values = new Map(Object.entries(dims));
  const plain = graph.inputs.map((input): [string, PlainTensor] => {
    const tensor = graph.tensors.get(input);
    const shape = (tensor?.shape ?? []).map((size) => Sizes.evaluate(size, values));
    return [input, { storage: tensor?.storage === 'i32' ? 'i32' : 'f32', shape, data: [...(inputs[input] ?? [])] }];
  });
  return { weights: `/${name}/weights`, places, inputs: Object.fromEntries(plain), dims, runs };
}

/** What two forwards on the same inputs must agree in. Pools of buffers may take longer to fill. */
const steady = ['submissions', 'dispatches', 'readbacks', 'bytesBound', 'workgroupBytes', 'pipelines'] as const;

/** Throws Error unless the counts can be believed. */
function checkCounts(who: string, { runs, doubts, errors }: PageResult): void {
  const wrong = [...doubts.map((doubt) => `not counted: ${doubt}`), ...errors];
  if (wrong.length > 0) throw new Error(`${who}: ${wrong.slice(0, 3).join('; ')}`);
  const [last, before] = [runs.at(-1), runs.at(-2)];
  if (runs.length < 3 || !last || !before) return;
  const moved = steady.filter((name) => last[name] !== before[name]);
  if (moved.length > 0) throw new Error(`${who}: ${moved.join(', ')} still change from forward to forward`);
}

/** Runs a case through Espalier and `peers`. Rejects where an output is wrong or a count is in doubt. */
export async function compareCase(
  bench: Bench,
  from: Case,
  peers: readonly Peer[],
  told: (row: Row) => void = () => {},
): Promise<readonly Row[]> {
  const call = await publish(bench, from);
  const { tensors } = interpretGraph(from.graph, { inputs: from.inputs, dims: from.dims });
  const expected = Object.fromEntries(from.graph.outputs.map((name) => [name, tensors.get(name) ?? []]));
  const rows: Row[] = [];
  for (const peer of [undefined, ...peers]) {
    const contender: Contender = peer
      ? {
          kind: 'onnxruntime-web',
          bundle: bundles[peer.provider],
          options: peer.fixed === true ? { freeDimensionOverrides: from.dims } : {},
        }
      : { kind: 'espalier' };
    const file = peer ? `${peer.writing}.onnx` : 'espalier';
    const who = `${from.name}, ${peer ? nameOf(peer) : 'espalier'}`;
    const result = await bench.forward({ ...call, contender, model: `/${from.name}/${file}` }).catch((cause) => {
      throw new Error(`${who}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
    const difference = differenceOf(result.outputs, expected);
    if (!(difference <= TOLERANCE)) throw new Error(`${who}: wrong output, ${difference} off; nothing is counted`);
    checkCounts(who, result);
    const cold = newTally();
    addTo(cold, result.load);
    addTo(cold, result.runs[0] ?? {});
    const row: Row = {
      case: from.name,
      contender: peer ? nameOf(peer) : 'espalier',
      ...(peer ? { peer } : {}),
      cold,
      warm: result.runs.at(-1) ?? newTally(),
      difference,
      labels: result.labels,
      adapter: result.adapter,
      ...(result.own ? { own: result.own } : {}),
    };
    rows.push(row);
    told(row);
  }
  return rows;
}
