/**
 * Launches made ready on a simulated device. Before a layer's first launch that writes a tensor the tensor counts as
 * unwritten, whatever lay there; what launches leave, later ones may read.
 */
import { type Finding, type FindingKind, Findings, tensorStorage } from '@espalier/codegen';
import {
  type BufferRange,
  type DeviceLaunch,
  FaultError,
  faultOf,
  RuntimeError,
  type Submission,
} from '@espalier/runtime';
import type { SimulatedBuffer } from './buffer.ts';
import { SimulationError } from './errors.ts';
import type { SimulatedProgram } from './program.ts';

/** A launch whose buffers and program were found to be this device's. */
export interface CheckedLaunch {
  readonly launch: DeviceLaunch;
  readonly program: SimulatedProgram;
  readonly buffers: readonly SimulatedBuffer[];
  /** Indices of the bindings that count as unwritten before it. */
  readonly fresh: readonly number[];
}

/** What a submission needs of its device. */
export interface SubmissionHost {
  readonly disposed: boolean;
  readonly limit: number;
  /** Where findings go that are not thrown; null where they are. */
  readonly collected: Findings | null;
}

export class SimulatedSubmission implements Submission {
  readonly #host: SubmissionHost;
  readonly #launches: readonly CheckedLaunch[];
  #running = false;
  #disposed = false;

  constructor(host: SubmissionHost, launches: readonly CheckedLaunch[]) {
    this.#host = host;
    this.#launches = launches;
  }

  /** Rejects with SimulationError when the kernels of a launch are wrong, and as `Submission.run` does. */
  async run(): Promise<void> {
    this.#check();
    this.#running = true;
    try {
      // A run that the caller starts without waiting for this one is seen to overlap.
      await Promise.resolve();
      let fault: FaultError | null = null;
      for (const checked of this.#launches) fault = this.#launch(checked) ?? fault;
      if (fault !== null) throw fault;
    } finally {
      this.#running = false;
    }
  }

  /** The error for a failed check, if there is one. Throws SimulationError. */
  #launch({ launch, program, buffers, fresh }: CheckedLaunch): FaultError | null {
    const { collected, limit } = this.#host;
    const findings = collected ?? new Findings(limit);
    const described = program.manifest.launches[launch.launch];
    const simulated = program.kernelOf(launch.launch);
    const { kernel } = simulated;
    const names = described?.bindings ?? [];
    for (const i of fresh) buffers[i]?.forget(launch.buffers[i] as BufferRange);
    const bound = new Map(
      names.map((name, i) => {
        const buffer = kernel.buffers.find((b) => b.name === name);
        const storage = buffer === undefined ? 'f32' : tensorStorage(buffer);
        return [name, (buffers[i] as SimulatedBuffer).bound(launch.buffers[i] as BufferRange, storage)] as const;
      }),
    );
    const dims = new Map((described?.dims ?? []).map((dim, i) => [dim, launch.dims[i] as number]));
    const wrong = (message: string): void =>
      findings.add(`${kernel.label} ${message}`, () => ({ ...ofLaunch('wrong-launch', message), ...named(kernel) }));
    for (const message of overlaps(launch, names, new Set(fresh))) wrong(message);
    const { steps, faults, scratch } = simulated.run(bound, dims, findings);
    if (steps !== launch.grid) wrong(`launched with ${launch.grid} steps where the kernel has ${steps}`);
    if (launch.scratch < scratch)
      wrong(`launched with ${launch.scratch} bytes of scratch a workgroup where it takes ${scratch}`);
    if (collected === null && findings.total > 0)
      throw new SimulationError(launch.label, findings.list, findings.total);
    const first = faults.size === 0 ? null : Math.min(...faults);
    return first === null ? null : new FaultError(launch.label, faultOf(program.manifest.faults, first));
  }

  #check(): void {
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    if (this.#host.disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    if (this.#running) throw new RuntimeError('R013', 'this submission is still running; await its last run first');
    for (const { launch, program, buffers } of this.#launches) {
      if (program.disposed)
        throw new RuntimeError('R012', `${launch.label}: its program was disposed of; load it again`);
      const gone = buffers.find((buffer) => buffer.disposed);
      if (gone)
        throw new RuntimeError('R012', `${launch.label}: buffer ${gone.label} was disposed of; prepare it again`);
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }
}

const named = (kernel: {
  readonly name: string;
  readonly label: string;
  readonly place?: string;
}): Pick<Finding, 'kernel' | 'label' | 'place'> => ({
  kernel: kernel.name,
  label: kernel.label,
  place: kernel.place ?? null,
});

const ofLaunch = (kind: FindingKind, message: string): Omit<Finding, 'kernel' | 'label' | 'place'> => ({
  kind,
  message,
  statement: '',
  path: [],
  workgroup: null,
  lanes: [],
  other: null,
  buffer: null,
  element: null,
  times: 1,
});

/** Bindings that a launch writes and that share bytes with another. */
function* overlaps(launch: DeviceLaunch, names: readonly string[], written: ReadonlySet<number>): Iterable<string> {
  for (const i of written) {
    const a = launch.buffers[i] as BufferRange;
    for (const [j, b] of launch.buffers.entries()) {
      if (i === j || a.buffer !== b.buffer) continue;
      if (a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength)
        yield `${names[i]} is written and lies in memory of ${names[j]}`;
    }
  }
}
