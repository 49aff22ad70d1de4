/**
 * The driver: a checked layer in, an artefact out. Cuts the layer into units, lowers each by its strategy, runs the
 * pipeline with verification, prints, assembles, and writes the manifest. Same input, same bytes.
 */
import {
  type Artefact,
  type Binding,
  type Launch,
  type LaunchCondition,
  type Layout,
  MANIFEST_VERSION,
  type Manifest,
  rowMajor,
  sha256Hex,
} from '@espalier/artefact';
import type { LayerIR } from '@espalier/ir';
import { costOf } from './cost.ts';
import { fileSink } from './dump.ts';
import { type Kernel, tensorStorage } from './kernel-ir/types.ts';
import { verify } from './kernel-ir/verify.ts';
import { mapStatements } from './kernel-ir/walk.ts';
import { type Eased, ease, isExcess, statementsOf, withEased } from './lower/ease.ts';
import { placeOf, readsOf, writesOf } from './lower/layer-expr.ts';
import { partition, partitionGenerically, type Unit } from './lower/partition.ts';
import { applicable, lowerUnit, suits } from './lower/unit.ts';
import { usedBuffers } from './passes/flatten.ts';
import { type Observe, pipelineFor } from './pipeline.ts';
import { applySchedule, applyStep } from './schedule/apply.ts';
import { labelled } from './schedule/auto.ts';
import { type Schedule, ScheduleRefusal } from './schedule/steps.ts';
import { gridOf, toSizeExpr } from './size-expr.ts';
import type { Capabilities, Target, Variant } from './target.ts';
import { GENERATOR } from './version.ts';

export interface CompileOptions {
  readonly target: Target;
  /** Overrides of the target's defaults; an unknown key is an error. */
  readonly capabilities?: Capabilities;
  /** `generic` lowers every statement as a plain loop nest; `best` (default) by the strategy its shape calls for. */
  readonly strategy?: 'best' | 'generic';
  /** Schedules by kernel name ("k0"), in place of the target's defaults. */
  readonly schedules?: Readonly<Record<string, Schedule>>;
  readonly observe?: Observe;
  /**
   * `each` verifies the kernel after every pass, so that an error names the pass that made it; `ends` (default) once it is
   * lowered and once it is ready to print, which costs less and does not say which pass it was.
   */
  readonly verify?: 'each' | 'ends';
}

/** Raised for options the compiler can't use; illegal layers never get this far. */
export class CompileError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.name = 'CompileError';
    this.code = code;
  }
}

interface Lowered {
  readonly kernel: Kernel;
  readonly unit: Unit;
  readonly schedule: Schedule;
  /** For which numbers of rows it runs; null: always. */
  readonly when: LaunchCondition | null;
  /** The last kernel of its unit, after which the unit's results are there. */
  readonly finishes: boolean;
}

/** Compiles a layer for a target. Deterministic; throws CompileError (C001 unknown capability, C002 schedule for an
 * unknown kernel; C003 and C004 are `tuned`'s; C005 a form that a unit can't take) and ScheduleRefusal. */
export async function compile(layer: LayerIR, options: CompileOptions): Promise<Artefact> {
  const { target } = options;
  const capabilities = capabilitiesOf(target, options.capabilities ?? {});
  const observe = observers(layer, options.observe);
  const { lowered, layouts, finished } = finishLayer(layer, capabilities, options, observe);
  const header = await headerOf(layer, target, lowered);
  const source = target.print(finished, header, capabilities);
  const binary = target.assemble === null ? null : await target.assemble(source, layer.name);
  const checksum = await sha256Hex(binary ?? new TextEncoder().encode(source));
  const manifest = manifestOf(layer, target, capabilities, lowered, finished, layouts, checksum);
  return binary === null ? { manifest, source } : { manifest, source, binary };
}

interface Finished {
  readonly lowered: readonly Lowered[];
  readonly layouts: ReadonlyMap<string, Layout>;
  /** As `lowered`, ready to print. */
  readonly finished: readonly Kernel[];
}

/** The kernels of a layer, through all passes; units that are too much for the machine are cut up until they are not. */
function finishLayer(layer: LayerIR, capabilities: Capabilities, options: CompileOptions, observe: Observe): Finished {
  const { target } = options;
  for (let eased: Eased = new Map(); ; ) {
    const lowered = lowerLayer(layer, target, capabilities, options, eased);
    const layouts = packedLayouts(lowered, layer);
    let next: Eased | null = null;
    const finished: Kernel[] = [];
    for (const { kernel, schedule, unit } of lowered) {
      try {
        finished.push(finishKernel(withPacking(kernel, schedule, layouts), capabilities, options, observe));
      } catch (error) {
        // Schedules are given by the names that kernels have uncut.
        next = isExcess(error) && options.schedules === undefined ? ease(unit, eased) : null;
        if (next === null) throw error;
        break;
      }
    }
    if (next === null) return { lowered, layouts, finished };
    eased = next;
  }
}

function finishKernel(
  { kernel, schedule }: Pick<Lowered, 'kernel' | 'schedule'>,
  capabilities: Capabilities,
  options: CompileOptions,
  observe: Observe,
): Kernel {
  let current = kernel;
  verify(current, 'lower');
  observe('lower', current, 0);
  const passes = pipelineFor(options.target, capabilities, schedule);
  for (const pass of passes) {
    const before = performance.now();
    current = pass.run(current);
    const elapsed = performance.now() - before;
    if (options.verify === 'each' || pass === passes.at(-1)) verify(current, pass.name);
    observe(pass.name, current, elapsed);
  }
  return current;
}

function capabilitiesOf(target: Target, given: Capabilities): Capabilities {
  for (const name of Object.keys(given)) {
    if (!(name in target.defaults)) {
      throw new CompileError(
        'C001',
        `${target.name} has no capability "${name}"; it knows ${Object.keys(target.defaults).join(', ')}`,
      );
    }
  }
  return { ...target.defaults, ...given };
}

function observers(layer: LayerIR, given: Observe | undefined): Observe {
  const dump = fileSink(layer.name);
  return (stage, kernel, milliseconds) => {
    given?.(stage, kernel, milliseconds);
    dump?.(stage, kernel, milliseconds);
  };
}

/** The kernels of a layer with their schedules, before any pass. */
export function lowerLayer(
  layer: LayerIR,
  target: Target,
  capabilities: Capabilities,
  options: Pick<CompileOptions, 'strategy' | 'schedules'>,
  eased: Eased = new Map(),
): readonly Lowered[] {
  const units = options.strategy === 'generic' ? partitionGenerically(layer) : withEased(partition(layer), eased);
  const outputs = new Set(layer.tensors.filter((t) => t.role === 'output').map((t) => t.name));
  let faults = 0;
  const lowered = units.flatMap((unit, i) => {
    const exported = new Set(outputs);
    units.forEach((other, j) => {
      if (j !== i) for (const s of statementsOf(other)) for (const name of readsOf(s)) exported.add(name);
    });
    const place = statementsOf(unit)
      .map((s) => placeOf(layer, s.span))
      .join(', ');
    return applicable(unit, unit.kind === 'generic' ? [PLAIN] : target.variants(unit, capabilities, layer)).flatMap(
      ({ variant, when }): readonly Lowered[] => {
        const name = variant.name === '' ? `k${i}` : `k${i}_${variant.name}`;
        if (!suits(unit, variant.form))
          throw new CompileError(
            'C005',
            `${layer.name}: ${place} can't be computed in the form "${variant.form.form}"; search again for this layer, or compile without the tuning`,
          );
        const kernels = lowerUnit(unit, layer, variant, exported, name);
        return kernels.map((written, part): Lowered => {
          const unnumbered = withoutUnused(labelled(written));
          // The very kernel that the pipeline schedules: what its schedule's steps give is then known already.
          const kernel = { ...faultsFrom(unnumbered, faults), place };
          faults += kernel.faults.length;
          const schedule =
            options.schedules?.[kernel.name] ?? target.schedule(unit, kernel, capabilities, variant.form);
          return { unit, kernel, schedule, when, finishes: part === kernels.length - 1 };
        });
      },
    );
  });
  const names = lowered.map(({ kernel }) => kernel.name);
  for (const name of Object.keys(options.schedules ?? {})) {
    if (!names.includes(name))
      throw new CompileError('C002', `${layer.name} has no kernel "${name}"; it has ${names.join(', ')}`);
  }
  return lowered;
}

/** The only variant of the generic strategy. */
const PLAIN: Variant = { name: '', from: 0, form: { form: 'elements' } };

function withoutUnused(kernel: Kernel): Kernel {
  const used = usedBuffers(kernel);
  return { ...kernel, buffers: kernel.buffers.filter((b) => used.has(b.name)) };
}

/** Fault numbers count through the whole layer. */
function faultsFrom(kernel: Kernel, first: number): Kernel {
  if (first === 0 || kernel.faults.length === 0) return kernel;
  const body = mapStatements(kernel.body, (s) => (s.kind === 'check' ? { ...s, fault: s.fault + first } : s));
  return { ...kernel, body };
}

/** The layout of every weight some schedule packs; the first to ask decides. */
function packedLayouts(lowered: readonly Lowered[], layer: LayerIR): ReadonlyMap<string, Layout> {
  const layouts = new Map<string, Layout>();
  for (const { kernel, schedule } of lowered) {
    for (const step of schedule) {
      if (step.step !== 'pack' || layouts.has(step.buffer)) continue;
      const role = layer.tensors.find((t) => t.name === step.buffer)?.role;
      if (role !== undefined && role !== 'weight') {
        throw new ScheduleRefusal(step, `only weights are packed, ${step.buffer} is a tensor of role ${role}`);
      }
      const packed = applyStep(kernel, step).buffers.find((b) => b.name === step.buffer);
      if (packed !== undefined) layouts.set(step.buffer, packed.layout);
    }
  }
  return layouts;
}

/**
 * Packing is a fact about the layer's data, so every kernel that reads a packed weight sees it packed: by its own schedule,
 * or, where another kernel's schedule packed it, from the start.
 */
function withPacking(
  kernel: Kernel,
  schedule: Schedule,
  layouts: ReadonlyMap<string, Layout>,
): { readonly kernel: Kernel; readonly schedule: Schedule } {
  const own = new Set(schedule.flatMap((s) => (s.step === 'pack' ? [s.buffer] : [])));
  const first = new Map<string, Layout>();
  for (const step of schedule) {
    if (step.step !== 'pack') continue;
    const packed = applyStep(kernel, step).buffers.find((b) => b.name === step.buffer);
    if (packed !== undefined) first.set(step.buffer, packed.layout);
  }
  const agrees = kernel.buffers.every((b) => {
    const layout = b.space === 'global' ? layouts.get(b.name) : undefined;
    return layout === undefined || (own.has(b.name) && JSON.stringify(first.get(b.name)) === JSON.stringify(layout));
  });
  if (agrees) return { kernel, schedule };
  return { kernel: withLayouts(kernel, layouts), schedule: schedule.filter((s) => s.step !== 'pack') };
}

const withLayouts = (kernel: Kernel, layouts: ReadonlyMap<string, Layout>): Kernel => ({
  ...kernel,
  buffers: kernel.buffers.map((b) => ({
    ...b,
    layout: (b.space === 'global' ? layouts.get(b.name) : undefined) ?? b.layout,
  })),
});

async function headerOf(layer: LayerIR, target: Target, lowered: readonly Lowered[]): Promise<readonly string[]> {
  const fixed = Object.entries(layer.fixed).map(([name, value]) => `${name} = ${value}`);
  return [
    `${layer.name} for ${target.name}, generated by ${GENERATOR}. Do not edit: compile again.`,
    `SHA-256 of the layer: ${await sha256Hex(JSON.stringify(layer))}`,
    ...(fixed.length > 0 ? [`fixed: ${fixed.join(', ')}`] : []),
    `runtime dims: ${layer.dims.join(', ') || 'none'}`,
    ...lowered.flatMap(({ kernel, unit, schedule }) => [
      `${kernel.name} from ${statementsOf(unit)
        .map((s) => placeOf(layer, s.span))
        .join(', ')}: ${kernel.label}`,
      ...schedule.map((step) => `  ${JSON.stringify(step)}`),
    ]),
  ];
}

function manifestOf(
  layer: LayerIR,
  target: Target,
  capabilities: Capabilities,
  lowered: readonly Lowered[],
  finished: readonly Kernel[],
  layouts: ReadonlyMap<string, Layout>,
  checksum: string,
): Manifest {
  const named = new Set(
    lowered.flatMap(({ kernel }) => kernel.buffers.filter((b) => b.space === 'global').map((b) => b.name)),
  );
  const faults = lowered.flatMap(({ kernel }) => kernel.faults);
  const bound = new Map(
    finished.flatMap(({ buffers }) => buffers.flatMap((b) => (b.bound ? [[b.name, b.bound]] : []))),
  );
  const own = workspacesOf(lowered, layer);
  return {
    version: MANIFEST_VERSION,
    name: layer.name,
    target: target.name,
    generator: GENERATOR,
    dims: layer.dims,
    fixed: layer.fixed,
    bindings: [
      ...layer.tensors
        .filter((t) => named.has(t.name) || t.role !== 'local')
        .map(
          (t): Binding => ({
            name: t.name,
            role: t.role === 'local' ? 'workspace' : t.role,
            storage: t.storage,
            shape: t.shape.map(toSizeExpr),
            layout: bound.get(t.name)?.layout ?? layouts.get(t.name) ?? rowMajor(t.shape.length),
            ...(bound.get(t.name)?.finite === true ? { finite: true } : {}),
          }),
        ),
      ...own,
    ],
    launches: lowered.map(
      ({ kernel, unit, schedule, when, finishes }, i): Launch => ({
        kernel: kernel.name,
        ...(when === null ? {} : { when }),
        grid: gridOf(applySchedule(kernel, schedule)),
        ...workgroupOf(finished[i] as Kernel),
        bindings: kernel.buffers.filter((b) => b.space === 'global').map((b) => b.name),
        dims: kernel.dims,
        scratch: target.scratch(finished[i] as Kernel),
        label: kernel.label,
        // Of a unit in several kernels the last one bears the cost: what is between them is no work that was asked for.
        ...(finishes ? costOf(statementsOf(unit), layer) : { flops: 0, bytes: 0 }),
      }),
    ),
    faults,
    requires: target.requires(capabilities),
    numerics: { ...target.numerics(capabilities), trace: layer.statements.some((s) => writesOf(s).length > 1) },
    checksum,
  };
}

/** Memory that the kernels of one unit leave for one another, which the layer knows nothing of. */
function workspacesOf(lowered: readonly Lowered[], layer: LayerIR): readonly Binding[] {
  const tensors = new Set(layer.tensors.map((t) => t.name));
  const found = new Map<string, Binding>();
  for (const { kernel } of lowered)
    for (const b of kernel.buffers) {
      if (b.space !== 'global' || tensors.has(b.name)) continue;
      const shape = b.shape.map(toSizeExpr);
      found.set(b.name, { name: b.name, role: 'workspace', storage: tensorStorage(b), shape, layout: b.layout });
    }
  return [...found.values()];
}

/** What a launch says of lanes; nothing where threads run alone. */
function workgroupOf(kernel: Kernel): Pick<Launch, 'workgroup' | 'checks' | 'joined'> {
  if (kernel.workgroup === undefined) return {};
  const workgroup = kernel.workgroup.subgroups * kernel.workgroup.lanes;
  const joined = kernel.buffers.find((b) => b.parts !== undefined)?.parts;
  return {
    workgroup,
    ...(kernel.faults.length === 0 ? {} : { checks: true }),
    ...(joined === undefined ? {} : { joined }),
  };
}
