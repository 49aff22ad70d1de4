/**
 * The simulator: runs Kernel IR in JavaScript, workgroup by workgroup, and tells what was wrong. A kernel is compiled once to
 * a function; f32 is rounded after every operation. It runs kernels at every stage of the pipeline, verified or not.
 */
import { packWeight, physicalLength, type WeightData } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel } from '../kernel-ir/types.ts';
import { helperNames, helpers, remainder } from './arithmetic.ts';
import { MOST_LANES } from './clock.ts';
import { type Finding, Findings } from './findings.ts';
import { kernelText } from './kernel-code.ts';
import { Machine } from './machine.ts';
import { type Bound, Memory, unwritten } from './memory.ts';

export interface SimulateOptions {
  /** Values of the kernel's runtime dims. */
  readonly dims?: Readonly<Record<string, number>>;
  /**
   * Row-major elements of the global buffers that are read, by name; they are packed as the buffer's layout says and count as
   * written. A global buffer that is not given begins unwritten.
   */
  readonly tensors: Readonly<Record<string, WeightData>>;
  /** Set when the pass `flatten` has run: the one index of a rank-1 buffer is then physical. */
  readonly flattened?: boolean;
  /** Two lanes that store the same value in one element, which no machine can tell apart, count as a race too. */
  readonly strict?: boolean;
  /** Most findings that are kept; 100 unless told. All are counted. */
  readonly limit?: number;
}

export interface Simulation {
  /** What stands in each global buffer that may be written, in physical order; NaN where nothing was stored. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Numbers of the checks that failed. */
  readonly faults: ReadonlySet<number>;
  /** Each mistake of a statement once. */
  readonly findings: readonly Finding[];
  /** How often something was wrong. */
  readonly total: number;
}

/** A kernel made ready to run many times. */
export interface SimulatedKernel {
  readonly kernel: Kernel;
  /**
   * Runs it on memory. `bound` holds the global buffers by name. Findings go to `findings`. Throws RangeError where a dim has
   * no value or a buffer is not bound.
   */
  run(bound: ReadonlyMap<string, Bound>, dims: ReadonlyMap<string, number>, findings: Findings): KernelRun;
}

export interface KernelRun {
  /** Workgroups, or grid steps, that ran. */
  readonly steps: number;
  readonly faults: ReadonlySet<number>;
  /** Bytes of scratch memory a workgroup takes. */
  readonly scratch: number;
}

type Run = (M: Machine, memories: readonly Memory[], dims: ReadonlyMap<string, number>, ...more: unknown[]) => void;

/** Makes a kernel ready. Throws RangeError for a workgroup of more lanes than can be told apart. */
export function prepareKernel(
  kernel: Kernel,
  options: Pick<SimulateOptions, 'flattened' | 'strict'> = {},
): SimulatedKernel {
  const { subgroups = 1, lanes = 1 } = kernel.workgroup ?? {};
  const threads = subgroups * lanes;
  if (threads + subgroups > MOST_LANES)
    throw new RangeError(
      `kernel ${kernel.name} has ${threads} lanes a workgroup; the simulator tells ${MOST_LANES - subgroups} apart`,
    );
  const { text, sites, shadowed } = kernelText(kernel, options.flattened ?? false);
  const run = new Function('M', 'memories', 'dims', ...helperNames, 'remainder', text) as Run;
  const instances = { workgroup: 1, scratch: 1, subgroup: subgroups, private: threads };
  return {
    kernel,
    run: (bound, dims, findings) => {
      for (const name of kernel.dims)
        if (!Number.isInteger(dims.get(name)))
          throw new RangeError(`kernel ${kernel.name} needs a value for dim ${name}`);
      const memories = kernel.buffers.map((b, i) => {
        const given = b.space === 'global' ? bound.get(b.name) : instances[b.space];
        if (given === undefined) throw new RangeError(`kernel ${kernel.name} needs memory for ${b.name}`);
        return new Memory(b, dims, given, shadowed[i] ?? 'none');
      });
      const machine = new Machine(kernel, sites, findings, options.strict ?? false);
      run(machine, memories, dims, ...helpers, remainder);
      const scratch = memories.reduce((sum, m) => sum + (m.buffer.space === 'scratch' ? 4 * m.length : 0), 0);
      return { steps: machine.steps, faults: machine.faults, scratch };
    },
  };
}

/** Runs a kernel once, on data. Throws RangeError as `SimulatedKernel.run` does; what is wrong with the kernel is a finding. */
export function simulate(kernel: Kernel, options: SimulateOptions): Simulation {
  const dims = new Map(Object.entries(options.dims ?? {}));
  const bound = new Map<string, Bound>();
  for (const b of kernel.buffers) {
    if (b.space !== 'global') continue;
    const shape = b.shape.map((size) => Sizes.evaluate(size, dims));
    const memory = unwritten(b.storage, physicalLength(b.layout, shape));
    const given = options.tensors[b.name];
    if (given !== undefined) {
      packWeight(given, shape, b.layout, memory.data);
      memory.written.fill(1);
    }
    bound.set(b.name, memory);
  }
  const findings = new Findings(options.limit);
  const { faults } = prepareKernel(kernel, options).run(bound, dims, findings);
  const outputs = kernel.buffers
    .filter((b) => b.space === 'global' && b.access !== 'read')
    .map((b) => {
      const { data, written } = bound.get(b.name) as Bound;
      return [b.name, Array.from(data, (x, i) => (written[i] === 0 ? Number.NaN : x))] as const;
    });
  return { outputs: Object.fromEntries(outputs), faults, findings: findings.list, total: findings.total };
}
