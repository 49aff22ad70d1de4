/** A simulated device: the contract of a runtime, kept by running Kernel IR lane by lane and looking for mistakes in it. */
import type { Artefact } from '@espalier/artefact';
import { type Finding, Findings } from '@espalier/codegen';
import { checkLaunch, type Device, type DeviceInfo, type DeviceLaunch, RuntimeError } from '@espalier/runtime';
import { type BufferHost, SimulatedBuffer } from './buffer.ts';
import { kernelsOf, SimulatedProgram } from './program.ts';
import { type CheckedLaunch, SimulatedSubmission, type SubmissionHost } from './submission.ts';

export interface SimulatorOptions {
  /** `throw` (unless told): a run whose kernels are wrong rejects with SimulationError. `collect`: they are kept in `findings`. */
  readonly findings?: 'throw' | 'collect';
  /** Most findings that are kept; 100 unless told. All are counted. */
  readonly limit?: number;
  /** Two lanes that store the same value in one element count as a race too. The routes of a traced layer are stored so. */
  readonly strict?: boolean;
}

/** As strict as any GPU. */
const ALIGNMENT = 256;

/** See `Device`. Open one with `openSimulator`. */
export class SimulatorDevice implements Device {
  readonly info: DeviceInfo = { target: 'simulator', name: 'simulator', capabilities: {} };
  readonly alignment = ALIGNMENT;
  readonly #findings: Findings;
  readonly #host: BufferHost & SubmissionHost;
  readonly #strict: boolean;
  #disposed = false;

  constructor(options: SimulatorOptions) {
    this.#strict = options.strict ?? false;
    const limit = options.limit ?? 100;
    this.#findings = new Findings(limit);
    const device = this;
    this.#host = {
      limit,
      collected: options.findings === 'collect' ? this.#findings : null,
      get disposed() {
        return device.#disposed;
      },
    };
  }

  /** What was found and not thrown, each mistake of a statement once. */
  get findings(): readonly Finding[] {
    return this.#findings.list;
  }

  /** How often something was found and not thrown. */
  get total(): number {
    return this.#findings.total;
  }

  /** Forgets what was found. */
  clearFindings(): void {
    this.#findings.clear();
  }

  /** Its contents are poison until written. Throws RuntimeError R012 or R020. */
  createBuffer(byteLength: number, label: string): SimulatedBuffer {
    this.#checkOpen();
    return new SimulatedBuffer(this.#host, byteLength, label);
  }

  /** Rejects with ArtefactError A002, A007, A008, A009 or A010. */
  async load(artefact: Artefact): Promise<SimulatedProgram> {
    this.#checkOpen();
    const kernels = await kernelsOf(artefact, this.info);
    this.#checkOpen();
    return new SimulatedProgram(this.#host, artefact.manifest, kernels, this.#strict);
  }

  /** Throws RuntimeError R012, R016 (a range outside its buffer, unaligned, or of another device). */
  prepare(launches: readonly DeviceLaunch[]): SimulatedSubmission {
    this.#checkOpen();
    const own = { owner: this.#host, program: SimulatedProgram, buffer: SimulatedBuffer, alignment: ALIGNMENT };
    const checked: CheckedLaunch[] = [];
    let before: DeviceLaunch | null = null;
    let wrote = new Set<string>();
    for (const launch of launches) {
      const { program, buffers } = checkLaunch(launch, own);
      // The launches of one application of a layer follow one another, in the manifest's order.
      if (before?.program !== launch.program || before.launch >= launch.launch) wrote = new Set();
      before = launch;
      const { kernel } = program.kernelOf(launch.launch);
      const names = program.manifest.launches[launch.launch]?.bindings ?? [];
      const written = names.flatMap((name, i) =>
        kernel.buffers.some((b) => b.name === name && b.access !== 'read') ? [i] : [],
      );
      const fresh = written.filter((i) => !wrote.has(names[i] as string));
      for (const i of written) wrote.add(names[i] as string);
      checked.push({ launch, program, buffers, fresh });
    }
    return new SimulatedSubmission(this.#host, checked);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }

  /** The same as `[Symbol.dispose]`. */
  dispose(): void {
    this[Symbol.dispose]();
  }

  #checkOpen(): void {
    if (this.#disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
  }
}

/** Opens a simulated device. It needs nothing of the machine and never fails. */
export async function openSimulator(options: SimulatorOptions = {}): Promise<SimulatorDevice> {
  return new SimulatorDevice(options);
}
