/**
 * Compiles a layer and keeps what happened on the way: units, schedules, the kernel after every pass. The compiler is
 * watched from outside, through the target it is given and its observer.
 */
import type { Artefact } from '@espalier/artefact';
import {
  type Capabilities,
  type CompileOptions,
  compile,
  type Kernel,
  printKernel,
  type Schedule,
  type Target,
} from '@espalier/codegen';
import type { LayerIR } from '@espalier/ir';

/** A kernel after a pass. */
export interface Stage {
  readonly pass: string;
  /** The Kernel IR's text. */
  readonly text: string;
}

/** How a kernel came about. */
export interface KernelStory {
  readonly name: string;
  /** "contract": how its statements were lowered. */
  readonly strategy: string;
  /** The statements, as in the layer's text. */
  readonly statements: string;
  readonly schedule: Schedule;
  readonly stages: readonly Stage[];
  /** The text of this kernel alone, in the target's language. */
  readonly source: string;
}

export interface Compiled {
  readonly target: Target;
  readonly artefact: Artefact;
  readonly kernels: readonly KernelStory[];
}

export interface WatchOptions {
  readonly capabilities: Capabilities;
  readonly strategy: 'best' | 'generic';
  readonly schedules?: Readonly<Record<string, Schedule>>;
  /** Told what is being done, for a status line. */
  readonly progress?: (text: string) => void;
}

/** "contract: output y[t, o] = …" in two. */
export function splitLabel(label: string): { readonly strategy: string; readonly statements: string } {
  const at = label.indexOf(': ');
  return at < 0
    ? { strategy: '', statements: label }
    : { strategy: label.slice(0, at), statements: label.slice(at + 2) };
}

/** Compiles and watches. Rejects as `compile` does. */
export async function watch(layer: LayerIR, target: Target, options: WatchOptions): Promise<Compiled> {
  const schedules = new Map<string, Schedule>(Object.entries(options.schedules ?? {}));
  const stages = new Map<string, Stage[]>();
  const sources = new Map<string, string>();
  const labels = new Map<string, string>();
  const watched: Target = {
    ...target,
    schedule: (unit, kernel, capabilities, form) => {
      const schedule = target.schedule(unit, kernel, capabilities, form);
      schedules.set(kernel.name, schedule);
      return schedule;
    },
    print: (kernels, header, capabilities) => {
      for (const kernel of kernels) sources.set(kernel.name, target.print([kernel], [], capabilities));
      return target.print(kernels, header, capabilities);
    },
  };
  const compileOptions: CompileOptions = {
    target: watched,
    capabilities: options.capabilities,
    strategy: options.strategy,
    ...(options.schedules === undefined ? {} : { schedules: options.schedules }),
    observe: (pass: string, kernel: Kernel) => {
      options.progress?.(`${layer.name} for ${target.name}: ${kernel.name} after ${pass}`);
      labels.set(kernel.name, kernel.label);
      // A unit that was too much for the machine is compiled anew, and its story begins again.
      const known = pass === 'lower' ? [] : (stages.get(kernel.name) ?? []);
      known.push({ pass, text: printKernel(kernel) });
      stages.set(kernel.name, known);
    },
  };
  const artefact = await compile(layer, compileOptions);
  return {
    target,
    artefact,
    kernels: artefact.manifest.launches.map(({ kernel: name }) => ({
      name,
      ...splitLabel(labels.get(name) ?? ''),
      schedule: schedules.get(name) ?? [],
      stages: stages.get(name) ?? [],
      source: sources.get(name) ?? '',
    })),
  };
}
