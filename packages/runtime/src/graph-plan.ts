/**
 * The execution plan of a graph for one set of dims: where each tensor lies in memory and how large each launch is.
 * Time is counted in launches; a tensor lives from the launch that first names it to the one that last does, so that
 * tensors whose lives do not meet share memory. Pure data: no device is involved.
 */
import {
  type Binding,
  type CompiledGraph,
  type DimValues,
  evaluateSize,
  type Manifest,
  type PlanStep,
  runsAt,
  type StorageType,
  storageBytes,
} from '@espalier/artefact';
import type { Placement } from './contract.ts';
import { checkCountable } from './countable.ts';
import { elementCount, formatShape } from './dims.ts';
import { RuntimeError } from './errors.ts';
import { artefactOf } from './graph-check.ts';
import { type MemoryBlock, placeBlocks } from './memory-plan.ts';

/** A place in one of the plan's buffers. */
export interface ArenaPlace {
  /** Index into `GraphPlan.buffers`. */
  readonly buffer: number;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A tensor of the graph with its place. */
export interface PlannedTensor extends ArenaPlace {
  readonly name: string;
  readonly storage: StorageType;
  readonly shape: readonly number[];
  /** First and last tick of its life; inputs are born at −1. */
  readonly first: number;
  readonly last: number;
}

/** What a launch takes for one of its bindings. */
export type PlannedArgument =
  | { readonly kind: 'arena'; readonly place: ArenaPlace }
  | { readonly kind: 'weight'; readonly weight: string; readonly binding: Binding };

/** A launch with every size a number. */
export interface PlannedLaunch {
  readonly artefact: number;
  readonly launch: number;
  readonly grid: number;
  readonly scratch: number;
  readonly work: number;
  readonly dims: readonly number[];
  readonly arguments: readonly PlannedArgument[];
  readonly label: string;
}

export interface GraphPlan {
  /** Bytes of each buffer: one, the arena, or as many as there are tensors alive at once, and more, where they lie apart. */
  readonly buffers: readonly number[];
  /** Sum of `buffers`. */
  readonly arenaBytes: number;
  /** Sum of the sizes of all blocks: what would be taken if nothing were shared. */
  readonly unsharedBytes: number;
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  /** In order. Launches with an empty grid are left out. */
  readonly launches: readonly PlannedLaunch[];
}

/** `room`: bytes set aside. An empty tensor has room as if its empty axes had one place, where a failed check ends up. */
interface Sizes {
  readonly bytes: number;
  readonly room: number;
}

function sizeOf(shape: readonly number[], storage: StorageType): Sizes {
  const bytes = shape.reduce((a, b) => a * b, storageBytes[storage]);
  const room = shape.includes(0) ? shape.reduce((a, b) => a * Math.max(1, b), storageBytes[storage]) : bytes;
  return { bytes, room };
}

interface Life extends Sizes {
  first: number;
  last: number;
}

/** First and last launch, by index in the step, that names the binding; the whole step where none does. */
function mentions(manifest: Manifest, name: string): { readonly first: number; readonly last: number } {
  const at = manifest.launches.flatMap((launch, i) => (launch.bindings.includes(name) ? [i] : []));
  return { first: at[0] ?? 0, last: at.at(-1) ?? Math.max(0, manifest.launches.length - 1) };
}

const FEWER = 'run fewer rows at once';

const workspaceKey = (step: number, binding: string): string => `${step}\n${binding}`;

/**
 * Plans `graph` for `dims`; tensors in `keep` and the outputs live to the end. Expects a graph that `checkGraph` accepts.
 * Throws RuntimeError R014 where a step's view of a tensor has another number of elements, R015 for an unknown name in `keep`,
 * R025 for a tensor of more elements than kernels can number.
 */
export function planGraph(
  graph: CompiledGraph,
  dims: DimValues,
  keep: readonly string[],
  alignment: number,
  placement: Placement = 'arena',
): GraphPlan {
  const shapes = new Map(
    graph.tensors.map((tensor) => [
      tensor.name,
      { tensor, shape: tensor.shape.map((size) => evaluateSize(size, dims)) },
    ]),
  );
  for (const [name, { shape }] of shapes) checkCountable(`tensor ${name} of graph ${graph.name}`, shape, FEWER);
  const lives = new Map<string, Life>();
  const workspaces = new Map<string, Life>();
  const sizesOf = (name: string): Sizes => {
    const entry = shapes.get(name);
    return entry ? sizeOf(entry.shape, entry.tensor.storage) : { bytes: 0, room: 0 };
  };
  for (const name of graph.inputs) lives.set(name, { ...sizesOf(name), first: -1, last: -1 });
  let tick = 0;
  graph.steps.forEach((step, s) => {
    const { manifest } = artefactOf(graph, step);
    const stepDims = dimsOfStep(step, dims);
    for (const binding of manifest.bindings) {
      if (binding.role === 'weight') continue;
      const use = mentions(manifest, binding.name);
      const name = binding.role === 'workspace' ? undefined : step.tensors[binding.name];
      if (name === undefined) {
        const shape = binding.shape.map((size) => evaluateSize(size, stepDims));
        checkCountable(`${binding.name}, which step ${step.id} of graph ${graph.name} keeps for itself,`, shape, FEWER);
        const size = sizeOf(shape, binding.storage);
        workspaces.set(workspaceKey(s, binding.name), { ...size, first: tick + use.first, last: tick + use.last });
        continue;
      }
      checkCount(graph, step, binding, name, shapes.get(name)?.shape ?? [], stepDims);
      const life = lives.get(name);
      if (life) life.last = Math.max(life.last, tick + use.last);
      else lives.set(name, { ...sizesOf(name), first: tick + use.first, last: tick + use.last });
    }
    tick += Math.max(1, manifest.launches.length);
  });
  for (const name of [...graph.outputs, ...keep]) {
    const life = lives.get(name);
    if (!life)
      throw new RuntimeError(
        'R015',
        `graph ${graph.name} has no tensor ${name} to keep; it has ${[...lives.keys()].join(', ')}`,
      );
    life.last = tick;
  }

  const blocks = [...lives.values(), ...workspaces.values()].map(
    (life): MemoryBlock => ({ ...life, bytes: life.room }),
  );
  const memory = placeBlocks(blocks, alignment, placement);
  let next = 0;
  const place = (life: Life): ArenaPlace => {
    const { buffer, byteOffset } = memory.places[next++] as { buffer: number; byteOffset: number };
    return { buffer, byteOffset, byteLength: life.bytes };
  };
  const tensors = new Map<string, PlannedTensor>();
  for (const [name, life] of lives) {
    const entry = shapes.get(name);
    if (entry)
      tensors.set(name, {
        name,
        storage: entry.tensor.storage,
        shape: entry.shape,
        first: life.first,
        last: life.last,
        ...place(life),
      });
  }
  const workspacePlaces = new Map([...workspaces].map(([key, life]) => [key, place(life)]));
  return {
    buffers: memory.buffers,
    arenaBytes: memory.buffers.reduce((a, b) => a + b, 0),
    unsharedBytes: blocks.reduce((sum, block) => sum + block.bytes, 0),
    tensors,
    launches: graph.steps.flatMap((step, s) =>
      planLaunches(graph, step, dims, (binding) => {
        const name = binding.role === 'workspace' ? undefined : step.tensors[binding.name];
        return name === undefined ? workspacePlaces.get(workspaceKey(s, binding.name)) : tensors.get(name);
      }),
    ),
  };
}

const dimsOfStep = (step: PlanStep, dims: DimValues): DimValues =>
  Object.fromEntries(Object.entries(step.dims).map(([name, expr]) => [name, evaluateSize(expr, dims)]));

function checkCount(
  graph: CompiledGraph,
  step: PlanStep,
  binding: Binding,
  name: string,
  shape: readonly number[],
  stepDims: DimValues,
): void {
  const expected = elementCount(binding.shape, stepDims);
  const found = shape.reduce((a, b) => a * b, 1);
  if (expected !== found)
    throw new RuntimeError(
      'R014',
      `graph ${graph.name}: step ${step.id} takes ${binding.name} as ${formatShape(binding.shape, stepDims)} (${expected} elements), ` +
        `tensor ${name} is [${shape.join(', ')}] (${found} elements); correct the step's dims or the tensor's shape`,
    );
}

function planLaunches(
  graph: CompiledGraph,
  step: PlanStep,
  dims: DimValues,
  placeOf: (binding: Binding) => ArenaPlace | undefined,
): readonly PlannedLaunch[] {
  const { manifest } = artefactOf(graph, step);
  const stepDims = dimsOfStep(step, dims);
  const bindings = new Map(manifest.bindings.map((binding) => [binding.name, binding]));
  return manifest.launches.flatMap((launch, index): PlannedLaunch[] => {
    const grid = runsAt(launch, stepDims) ? evaluateSize(launch.grid, stepDims) : 0;
    if (grid <= 0) return [];
    const taken = launch.bindings.map((name): PlannedArgument => {
      const binding = bindings.get(name);
      const weight = binding?.role === 'weight' ? step.weights[name] : undefined;
      if (binding && weight !== undefined) return { kind: 'weight', weight, binding };
      const place = binding && placeOf(binding);
      if (!place) throw new RuntimeError('R014', `graph ${graph.name}: step ${step.id} binds nothing to ${name}`);
      return { kind: 'arena', place };
    });
    return [
      {
        artefact: step.artefact,
        launch: index,
        grid,
        scratch: evaluateSize(launch.scratch, stepDims),
        work: Math.max(evaluateSize(launch.flops, stepDims), evaluateSize(launch.bytes, stepDims)),
        dims: launch.dims.map((dim) => evaluateSize(dim, stepDims)),
        arguments: taken,
        label: step.id,
      },
    ];
  });
}
