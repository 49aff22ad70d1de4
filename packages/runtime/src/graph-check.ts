/**
 * Checks that the steps of a compiled graph fit together, before anything is loaded: names, element types, and that every
 * tensor is written once and before it is read. What depends on dims (element counts) is checked when they are known.
 */
import type { Artefact, Binding, CompiledGraph, PlanStep, PlanTensor } from '@espalier/artefact';
import { RuntimeError } from './errors.ts';

const broken = (graph: CompiledGraph, message: string): RuntimeError =>
  new RuntimeError('R014', `graph ${graph.name}: ${message}; compile the graph again, or correct its steps`);

/** The artefact of a step. Throws RuntimeError R014 where there is none. */
export function artefactOf(graph: CompiledGraph, step: PlanStep): Artefact {
  const artefact = graph.artefacts[step.artefact];
  if (!artefact) throw broken(graph, `step ${step.id} names artefact ${step.artefact} of ${graph.artefacts.length}`);
  return artefact;
}

/** Throws RuntimeError R014 with the first thing that does not fit. */
export function checkGraph(graph: CompiledGraph): void {
  const tensors = new Map<string, PlanTensor>();
  for (const tensor of graph.tensors) {
    if (tensors.has(tensor.name)) throw broken(graph, `tensor ${tensor.name} is declared twice`);
    tensors.set(tensor.name, tensor);
  }
  const written = new Map<string, string>();
  for (const name of graph.inputs) {
    if (!tensors.has(name)) throw broken(graph, `input ${name} is not declared`);
    written.set(name, 'the inputs');
  }
  for (const step of graph.steps) {
    const { manifest } = artefactOf(graph, step);
    const bindings = new Map(manifest.bindings.map((binding) => [binding.name, binding]));
    for (const name of [...Object.keys(step.tensors), ...Object.keys(step.weights)])
      if (!bindings.has(name))
        throw broken(graph, `step ${step.id} binds ${name}, which ${manifest.name} does not have`);
    for (const dim of manifest.dims)
      if (step.dims[dim] === undefined) throw broken(graph, `step ${step.id} gives no value for dim ${dim}`);
    for (const binding of manifest.bindings)
      if (binding.role === 'input') checkInput(graph, step, binding, tensors, written);
      else if (binding.role === 'weight' && step.weights[binding.name] === undefined)
        throw broken(graph, `step ${step.id} binds no weight to ${binding.name}`);
    for (const binding of manifest.bindings)
      if (binding.role === 'output') checkOutput(graph, step, binding, tensors, written);
  }
  for (const name of graph.outputs) if (!written.has(name)) throw broken(graph, `no step writes output ${name}`);
}

function checkInput(
  graph: CompiledGraph,
  step: PlanStep,
  binding: Binding,
  tensors: ReadonlyMap<string, PlanTensor>,
  written: ReadonlyMap<string, string>,
): void {
  const name = step.tensors[binding.name];
  if (name === undefined) throw broken(graph, `step ${step.id} binds no tensor to input ${binding.name}`);
  const tensor = tensors.get(name);
  if (!tensor) throw broken(graph, `step ${step.id} reads ${name}, which is not declared`);
  if (!written.has(name)) throw broken(graph, `step ${step.id} reads ${name} before any step writes it`);
  if (tensor.storage !== binding.storage)
    throw broken(graph, `step ${step.id} reads ${name} as ${binding.storage}, it is ${tensor.storage}`);
}

function checkOutput(
  graph: CompiledGraph,
  step: PlanStep,
  binding: Binding,
  tensors: ReadonlyMap<string, PlanTensor>,
  written: Map<string, string>,
): void {
  const name = step.tensors[binding.name];
  if (name === undefined) return;
  const tensor = tensors.get(name);
  if (!tensor) throw broken(graph, `step ${step.id} writes ${name}, which is not declared`);
  const before = written.get(name);
  if (before) throw broken(graph, `step ${step.id} writes ${name}, which ${before} gave already`);
  if (tensor.storage !== binding.storage)
    throw broken(graph, `step ${step.id} writes ${name} as ${binding.storage}, it is ${tensor.storage}`);
  written.set(name, `step ${step.id}`);
}
