/**
 * A target at work on the graphs of one checkpoint: compiles each once (or takes what another device of the same kind
 * compiled), loads, runs with poisoned memory, and times without.
 */
import type { CompiledGraph } from '@espalier/artefact';
import type { Graph } from '@espalier/ir';
import { loadGraph } from '@espalier/runtime';
import type { Case, Subject } from '../cases/case.ts';
import type { Numbers, Tensor } from '../numbers.ts';
import type { WarmTimer } from '../references/onnx.ts';
import { type Run, runOfTensors } from '../references/run.ts';
import type { LoadedGraph, LoadOptions, OpenTarget } from './family.ts';
import { poisoned } from './poison.ts';

/** A compiled graph with its recording nodes, and what compiling took. */
interface Compiled {
  /** The graph as a user would compile it. */
  readonly plain: CompiledGraph;
  /** The same steps, and those that record routes. */
  readonly watched: CompiledGraph;
  /** Milliseconds for the plain graph. */
  readonly milliseconds: number;
  /** The target that compiled it. */
  readonly by: string;
}

/** Compiled graphs by compile key and subject, shared by all targets of a run. */
export type CompileCache = Map<string, Promise<Compiled>>;

/** Milliseconds. */
export interface TargetTiming {
  readonly compile: number;
  /** The target that compiled, when the artefacts were shared. */
  readonly compiledBy: string;
  readonly load: number;
  readonly first: number;
  readonly warm: number;
  readonly threads: number;
  /** Bytes on the device. */
  readonly weights: number;
  readonly arena: number;
}

/** A target with the graphs it has loaded. Disposing frees those; the device stays open. */
export class TargetSession implements Disposable {
  readonly target: OpenTarget;
  readonly #cache: CompileCache;
  readonly #loaded = new Map<string, LoadedGraph>();

  constructor(target: OpenTarget, cache: CompileCache) {
    this.target = target;
    this.#cache = cache;
  }

  /** Runs a case and keeps everything that is compared. Rejects with what compiling, loading or running rejects with. */
  async run(one: Case): Promise<Run> {
    const { subject } = one;
    const instance = await this.#instance(subject);
    const keep = new Set(one.items.map((item) => item.tensor));
    for (const tree of subject.watched.trees) {
      keep.add(tree.nodesTensor).add(tree.scoresTensor);
      for (const input of tree.inputs) keep.add(input);
      for (const twin of tree.twins) keep.add(twin.plain).add(twin.recorded);
    }
    for (const name of subject.graph.inputs) keep.delete(name);
    const results = await instance.run({ inputs: hostInputs(one.inputs), dims: one.dims, keep: [...keep] });
    const tensors = new Map<string, Numbers>([...results].map(([name, { data }]) => [name, data]));
    for (const [name, input] of one.inputs) tensors.set(name, input.data);
    return runOfTensors(this.target.spec, 'target', tensors);
  }

  /** Runs any graph once: for shrinking a difference, and for replaying one. */
  async runGraph(
    graph: Graph,
    inputs: ReadonlyMap<string, Tensor>,
    dims: Readonly<Record<string, number>>,
  ): Promise<ReadonlyMap<string, Numbers>> {
    const compiled = await this.target.compile(graph);
    using instance = await load(this.target, compiled, graph.weights, { poison: true });
    const results = await instance.run({ inputs: hostInputs(inputs), dims });
    return new Map([...results].map(([name, { data }]) => [name, data]));
  }

  /** What a case costs: loading, the first run, and later runs, with only the final outputs computed for the caller. */
  async time(one: Case, warm: WarmTimer): Promise<TargetTiming> {
    const { plain, milliseconds, by } = await this.#compile(one.subject);
    const inputs = hostInputs(one.inputs);
    const call = { inputs, dims: one.dims };
    const start = performance.now();
    const graph = { ...plain, outputs: one.subject.finals };
    using instance = await load(this.target, graph, one.subject.graph.weights, { poison: false });
    const loaded = performance.now();
    await instance.run(call);
    const ran = performance.now();
    const median = await warm(() => instance.run(call));
    const { weights, arenas } = instance.memory;
    return {
      compile: milliseconds,
      compiledBy: by,
      load: loaded - start,
      first: ran - loaded,
      warm: median,
      threads: this.target.threads,
      weights,
      arena: arenas,
    };
  }

  async #instance(subject: Subject): Promise<LoadedGraph> {
    const known = this.#loaded.get(subject.id);
    if (known !== undefined) return known;
    const { watched } = await this.#compile(subject);
    // One arena at a time: cases rarely share their dims, and every fresh arena is poisoned.
    const options = { poison: true, prepared: 1 };
    const instance = await load(this.target, watched, subject.graph.weights, options);
    this.#loaded.set(subject.id, instance);
    return instance;
  }

  #compile(subject: Subject): Promise<Compiled> {
    const key = `${this.target.compileKey}\n${subject.id}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const made = compileWatched(this.target, subject);
    this.#cache.set(key, made);
    return made;
  }

  [Symbol.dispose](): void {
    for (const instance of this.#loaded.values()) instance[Symbol.dispose]();
    this.#loaded.clear();
  }
}

/** Loads a graph on a target, in this process or elsewhere. */
function load(
  { device, poisoned: poisonable }: OpenTarget,
  compiled: CompiledGraph,
  weights: Graph['weights'],
  options: LoadOptions,
): Promise<LoadedGraph> {
  if ('loadGraph' in device) return device.loadGraph(compiled, weights, options);
  const { poison, prepared } = options;
  const memory = poison && poisonable !== false ? poisoned(device) : device;
  return loadGraph(memory, compiled, weights, prepared === undefined ? {} : { prepared });
}

/** The graph's own steps compiled alone, as a user's would be; the recording ones after them. */
async function compileWatched(target: OpenTarget, subject: Subject): Promise<Compiled> {
  const { graph, watched } = subject;
  const start = performance.now();
  const plain = await target.compile(graph);
  const milliseconds = performance.now() - start;
  if (watched.recorders.length === 0) return { plain, watched: plain, milliseconds, by: target.spec };
  const inputs = new Set(
    watched.recorders.flatMap((node) =>
      node.layer.tensors.flatMap((decl) => (decl.role === 'input' ? (node.tensors.get(decl.name) ?? []) : [])),
    ),
  );
  const recorded = [
    ...new Set(
      watched.trees.flatMap((tree) => [
        tree.nodesTensor,
        tree.scoresTensor,
        ...tree.twins.map((twin) => twin.recorded),
      ]),
    ),
  ];
  const named = new Set([...inputs, ...recorded]);
  const recording = await target.compile({
    ...graph,
    inputs: [...inputs],
    outputs: recorded,
    nodes: watched.recorders,
    tensors: new Map([...watched.graph.tensors].filter(([name]) => named.has(name))),
  });
  const known = new Set(plain.tensors.map((tensor) => tensor.name));
  return {
    plain,
    milliseconds,
    by: target.spec,
    watched: {
      ...plain,
      tensors: [...plain.tensors, ...recording.tensors.filter((tensor) => !known.has(tensor.name))],
      steps: [
        ...plain.steps,
        ...recording.steps.map((step) => ({ ...step, artefact: step.artefact + plain.artefacts.length })),
      ],
      artefacts: [...plain.artefacts, ...recording.artefacts],
    },
  };
}

type HostInput = { readonly data: Float32Array | Int32Array; readonly shape: readonly number[] };

/** Inputs in the element types that devices take. */
function hostInputs(inputs: ReadonlyMap<string, Tensor>): Record<string, HostInput> {
  return Object.fromEntries(
    [...inputs].map(([name, { data, shape }]) => [
      name,
      { data: data instanceof Float64Array ? Float32Array.from(data) : data, shape },
    ]),
  );
}
