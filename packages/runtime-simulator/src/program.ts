/** A layer loaded on a simulated device: its kernels, each made ready when it is first run. */
import { type Artefact, ArtefactError, type Manifest, verifyChecksum } from '@espalier/artefact';
import { type Kernel, prepareKernel, type SimulatedKernel } from '@espalier/codegen';
import { checkCompiledFor, type DeviceInfo, type Program } from '@espalier/runtime';
import { parseKernels } from './kernel-file.ts';

export class SimulatedProgram implements Program {
  readonly manifest: Manifest;
  readonly #owner: object;
  readonly #kernels: ReadonlyMap<string, Kernel>;
  readonly #strict: boolean;
  readonly #ready = new Map<string, SimulatedKernel>();
  disposed = false;

  /** `owner` stands for the device. Throws ArtefactError A010 when a kernel that is launched is not there. */
  constructor(owner: object, manifest: Manifest, kernels: readonly Kernel[], strict: boolean) {
    this.#owner = owner;
    this.#strict = strict;
    this.manifest = manifest;
    this.#kernels = new Map(kernels.map((kernel) => [kernel.name, kernel]));
    const lacking = manifest.launches.find((launch) => !this.#kernels.has(launch.kernel));
    if (lacking !== undefined)
      throw new ArtefactError('A010', `${manifest.name} has no kernel ${lacking.kernel}; compile the layer again`);
  }

  /** Whether it was loaded on the device that `owner` stands for. */
  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  /** The kernel of a launch. */
  kernelOf(launch: number): SimulatedKernel {
    const name = this.manifest.launches[launch]?.kernel ?? '';
    const known = this.#ready.get(name);
    if (known !== undefined) return known;
    const kernel = this.#kernels.get(name);
    if (kernel === undefined) throw new RangeError(`${this.manifest.name} has no launch ${launch}`);
    const ready = prepareKernel(kernel, { flattened: true, strict: this.#strict });
    this.#ready.set(name, ready);
    return ready;
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

/** The kernels of an artefact. Rejects with ArtefactError A002, A007, A008, A009 or A010. */
export async function kernelsOf(artefact: Artefact, info: DeviceInfo): Promise<readonly Kernel[]> {
  const { manifest, source } = artefact;
  checkCompiledFor(info.target, manifest, 'compile it for simulatorTarget()');
  const lacking = manifest.requires.find((name) => !info.capabilities[name]);
  if (lacking !== undefined)
    throw new ArtefactError('A009', `${manifest.name} needs ${lacking}, which the simulator lacks; compile without it`);
  await verifyChecksum(artefact);
  return parseKernels(source, manifest.name);
}
