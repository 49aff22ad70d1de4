/** Launches made ready for the CPU, run one after another on the calling thread. */
import { type DeviceLaunch, FaultError, faultOf, RuntimeError, type Submission } from '@espalier/runtime';
import { type HostBuffer, HostMemory } from './buffer.ts';
import type { HostProgram } from './program.ts';

/** A launch whose buffers and program were found to be this device's. */
export interface CheckedLaunch {
  readonly launch: DeviceLaunch;
  readonly program: HostProgram;
  readonly buffers: readonly HostBuffer[];
}

export interface SubmissionHost {
  readonly disposed: boolean;
  submissionDisposed(submission: HostSubmission): void;
}

/** See `Submission`. */
export class HostSubmission implements Submission {
  readonly #host: SubmissionHost;
  readonly #checked: readonly CheckedLaunch[];
  readonly #scratch: HostMemory;
  readonly #status = new HostMemory(4);
  #disposed = false;

  constructor(host: SubmissionHost, checked: readonly CheckedLaunch[]) {
    this.#host = host;
    this.#checked = checked;
    this.#scratch = new HostMemory(checked.reduce((most, { launch: l }) => Math.max(most, l.scratch * l.grid), 16));
  }

  async run(): Promise<void> {
    if (this.#disposed) throw new RuntimeError('R012', 'this submission was disposed of; prepare it again');
    if (this.#host.disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    for (const checked of this.#checked) this.#checkAlive(checked);
    for (const checked of this.#checked) this.#launch(checked);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#scratch.free();
    this.#status.free();
    this.#host.submissionDisposed(this);
  }

  #checkAlive({ launch, program, buffers }: CheckedLaunch): void {
    if (program.disposed) throw new RuntimeError('R012', `${launch.label}: its program was disposed of; load it again`);
    const gone = buffers.find((buffer) => buffer.disposed);
    if (gone) throw new RuntimeError('R012', `${launch.label}: buffer ${gone.label} was disposed of; prepare it again`);
  }

  #launch({ launch, program, buffers }: CheckedLaunch): void {
    const described = program.manifest.launches[launch.launch];
    const scratch = described?.scratch === 0 ? [] : [this.#scratch];
    const status = described?.checks === true ? [this.#status] : [];
    // Every launch finds its scratch unwritten: reading what nobody wrote gives NaN.
    for (const memory of scratch) memory.bytes.fill(0xff);
    this.#status.bytes.fill(0);
    const ranges = buffers.map((b, i) => b.memory.address + BigInt(launch.buffers[i]?.byteOffset ?? 0));
    const pointers = BigUint64Array.from([...ranges, ...[...scratch, ...status].map((m) => m.address)]);
    const problem =
      program.run(launch.launch, launch.grid, pointers, Int32Array.from(launch.dims)) ??
      missedBy([...buffers.map((b) => [b.label, b.memory] as const), ['its scratch memory', this.#scratch]]);
    if (problem !== null)
      throw new RuntimeError(
        'R021',
        `${launch.label}: kernel ${described?.kernel} (${described?.label}): ${problem}; its outputs are undefined. ` +
          'This is a fault of the compiler: report it with the layer',
      );
    const code = new DataView(this.#status.bytes.buffer, this.#status.bytes.byteOffset).getInt32(0, true);
    if (code !== 0) throw new FaultError(launch.label, faultOf(program.manifest.faults, code));
  }
}

function missedBy(memories: readonly (readonly [string, HostMemory])[]): string | null {
  for (const [name, memory] of memories) {
    const at = memory.missed();
    if (at !== null) return `it wrote to byte ${at} of ${name}, which has ${memory.byteLength} bytes`;
  }
  return null;
}
