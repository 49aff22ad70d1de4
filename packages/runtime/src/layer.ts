/** A single compiled layer on a device: a graph of one step whose tensors carry the layer's own names. */
import type { Artefact, Binding, CompiledGraph, PlanTensor } from '@espalier/artefact';
import type { Device } from './contract.ts';
import { RuntimeError } from './errors.ts';
import { type GraphInstance, type GraphOptions, loadGraph, type OutputTensor } from './graph.ts';
import type { PreparedGraph } from './prepared.ts';
import { type InputTensor, inputParts, kindOf, storageOf, type WeightTensor } from './tensor-data.ts';

/** How a layer is called besides its inputs. */
export interface LayerRunOptions {
  /** Dims that do not follow from the inputs. */
  readonly dims?: Readonly<Record<string, number>>;
  /** As in `GraphRun.outputs`: `view` returns the device's memory where the host can address it. */
  readonly outputs?: 'copy' | 'view';
}

/** A layer ready to run. Disposing frees its weights and buffers; the device stays open. */
export interface Layer extends Disposable {
  readonly manifest: Artefact['manifest'];
  /**
   * Runs the layer. Dims follow from shapes and numbers of elements: `x` of [T, 768] given as a Float32Array of 1536
   * elements makes T = 2. Empty inputs give empty outputs. Rejects as `GraphInstance.run` does.
   */
  run(inputs: Readonly<Record<string, InputTensor>>, options?: LayerRunOptions): Promise<Record<string, OutputTensor>>;
  /**
   * Prepares the layer for one set of dims: inputs and outputs are then views of the device's memory, and a run copies and
   * allocates nothing. See `GraphInstance.prepare`.
   */
  prepare(dims?: Readonly<Record<string, number>>): Promise<PreparedGraph>;
  /** Bytes on the device. */
  readonly memory: GraphInstance['memory'];
  dispose(): void;
}

/** The graph of one step that applies `artefact` to tensors of its own names. */
export function graphOfLayer(artefact: Artefact): CompiledGraph {
  const { manifest } = artefact;
  const ofRole = (...roles: readonly Binding['role'][]): readonly Binding[] =>
    manifest.bindings.filter((binding) => roles.includes(binding.role));
  const itself = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, name]));
  const names = (bindings: readonly Binding[]): readonly string[] => bindings.map((binding) => binding.name);
  return {
    name: manifest.name,
    target: manifest.target,
    dims: manifest.dims,
    tensors: ofRole('input', 'output').map((binding): PlanTensor => {
      if (binding.storage !== 'f32' && binding.storage !== 'i32')
        throw new RuntimeError(
          'R014',
          `${manifest.name}: ${binding.role} ${binding.name} is ${binding.storage}, and only weights may be; declare it as ` +
            `${binding.storage === 'f16' ? 'f32' : 'i32'}, and compile the layer again`,
        );
      return { name: binding.name, storage: binding.storage, shape: binding.shape };
    }),
    inputs: names(ofRole('input')),
    outputs: names(ofRole('output')),
    steps: [
      {
        id: manifest.name,
        artefact: 0,
        dims: itself(manifest.dims),
        tensors: itself(names(ofRole('input', 'output'))),
        weights: itself(names(ofRole('weight'))),
      },
    ],
    artefacts: [artefact],
  };
}

/**
 * Loads a layer with its weights: row-major elements, of the type the binding says, with their shape or without. Rejects
 * with RuntimeError R008 (missing), R009 (unexpected), R010 (element type), R011 (shape), R031 (not finite), or as `loadGraph` does.
 */
export async function loadLayer(
  device: Device,
  artefact: Artefact,
  weights: Readonly<Record<string, InputTensor>>,
  options: GraphOptions = {},
): Promise<Layer> {
  const { manifest } = artefact;
  const bindings = new Map(manifest.bindings.filter((b) => b.role === 'weight').map((b) => [b.name, b]));
  const table = new Map<string, WeightTensor>();
  for (const [name, given] of Object.entries(weights ?? {})) {
    const binding = bindings.get(name);
    if (!binding)
      throw new RuntimeError(
        'R009',
        `${manifest.name} has no weight ${name}; its weights are ${[...bindings.keys()].join(', ') || '(none)'}`,
      );
    const { data, shape } = inputParts(given);
    const storage = storageOf(data);
    if (!storage)
      throw new RuntimeError(
        'R010',
        `weight ${name} is a ${kindOf(data)}, ${manifest.name} takes ${binding.storage}; convert it`,
      );
    // The shape of a weight has no dims in it.
    table.set(name, { data, storage, shape: Array.from(shape ?? (binding.shape as readonly number[])) });
  }
  const graph = await loadGraph(device, graphOfLayer(artefact), table, options);
  return {
    manifest,
    run: async (inputs, call = {}) => Object.fromEntries(await graph.run({ inputs, ...call })),
    prepare: (dims) => graph.prepare(dims),
    get memory() {
      return graph.memory;
    },
    dispose: () => graph.dispose(),
    [Symbol.dispose]: () => graph.dispose(),
  };
}
