/** Loading an artefact: every check that can be made first, then one shader module, then all pipelines at the same time. */
import { type Artefact, ArtefactError, type Launch, type Manifest, verifyChecksum } from '@espalier/artefact';
import { type DeviceInfo, type Program, RuntimeError } from '@espalier/runtime';
import { checkLoadable, checkWorkgroups } from './capabilities.ts';
import { COMPUTE } from './gpu.ts';
import { type Host, messageOf } from './host.ts';
import { interfacesOf, type KernelInterface } from './interface.ts';

/** A kernel ready to be dispatched. */
export interface Kernel extends KernelInterface {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** A loaded artefact. */
export class WebGpuProgram implements Program {
  readonly manifest: Manifest;
  readonly #kernels: ReadonlyMap<string, Kernel>;
  readonly #host: Host;
  disposed = false;

  constructor(host: Host, manifest: Manifest, kernels: ReadonlyMap<string, Kernel>) {
    this.#host = host;
    this.manifest = manifest;
    this.#kernels = kernels;
  }

  /** Whether it was loaded on the device of `host`. */
  belongsTo(host: Host): boolean {
    return this.#host === host;
  }

  /** The kernel of a launch of its own manifest. */
  kernel(launch: Launch): Kernel {
    return this.#kernels.get(launch.kernel) as Kernel;
  }

  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.disposed = true;
    this.#host.disposals++;
  }
}

/** Bind group layouts by what they hold; kernels that bind alike share one. */
export type Layouts = Map<string, GPUBindGroupLayout>;

/** Rejects with ArtefactError A002, A007 to A010, or RuntimeError R012, R022. */
export async function loadProgram(
  host: Host,
  info: DeviceInfo,
  layouts: Layouts,
  artefact: Artefact,
): Promise<WebGpuProgram> {
  checkLoadable(artefact, info);
  await verifyChecksum(artefact);
  const interfaces = interfacesOf(artefact);
  checkWorkgroups(artefact, interfaces, info);
  host.checkOpen();
  const { manifest, source } = artefact;
  const { result: module, error: moduleError } = host.scoped(`the code of ${manifest.name}`, () =>
    host.gpu.createShaderModule({ label: manifest.name, code: source }),
  );
  host.tally.modules++;
  const compilation = await host.untilLost(module.getCompilationInfo()).catch(async (error) => {
    throw await host.explain(error, `compiling ${manifest.name}`);
  });
  const refusal = compilation.messages.find(({ type }) => type === 'error');
  if (refusal) throw refused(manifest, `${refusal.message}${lineOf(source, refusal)}`);
  const failed = await moduleError;
  if (failed) throw refused(manifest, failed.message, failed);
  host.checkOpen();
  const names = [...new Set(manifest.launches.map(({ kernel }) => kernel))];
  const kernels = names.map(async (name): Promise<[string, Kernel]> => {
    const declared = interfaces.get(name) as KernelInterface;
    const layout = layoutFor(host, layouts, declared);
    host.tally.pipelines++;
    const pipeline = await host.untilLost(
      host.gpu.createComputePipelineAsync({
        label: `${manifest.name} ${name}`,
        layout: host.gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: name },
      }),
    );
    return [name, { ...declared, layout, pipeline }];
  });
  const settled = await Promise.allSettled(kernels);
  for (const [i, outcome] of settled.entries()) {
    if (outcome.status === 'fulfilled') continue;
    const { reason } = outcome;
    if (reason instanceof RuntimeError) throw reason;
    // A device that is being lost fails its pipelines first.
    const explained = await host.explain(reason, 'compiling');
    if (explained instanceof RuntimeError && explained.code === 'R022') throw explained;
    throw refused(manifest, `kernel ${names[i]}: ${messageOf(reason)}`, reason);
  }
  host.checkOpen();
  return new WebGpuProgram(
    host,
    manifest,
    new Map(settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))),
  );
}

const bufferTypes = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const;

function layoutFor(host: Host, layouts: Layouts, { bindings }: KernelInterface): GPUBindGroupLayout {
  const key = bindings.join();
  const known = layouts.get(key);
  if (known) return known;
  const layout = host.scopedLater('a bind group layout', () =>
    host.gpu.createBindGroupLayout({
      label: key,
      entries: bindings.map((kind, binding) => ({ binding, visibility: COMPUTE, buffer: { type: bufferTypes[kind] } })),
    }),
  );
  layouts.set(key, layout);
  return layout;
}

/** The line a message is about, with a caret below the place. */
function lineOf(source: string, { lineNum, linePos }: GPUCompilationMessage): string {
  const line = source.split('\n')[lineNum - 1];
  if (line === undefined || lineNum === 0) return '';
  return `\n  ${lineNum} | ${line}\n  ${' '.repeat(String(lineNum).length)} | ${' '.repeat(Math.max(0, linePos - 1))}^\n`;
}

const refused = (manifest: Manifest, message: string, cause?: unknown): ArtefactError =>
  new ArtefactError(
    'A010',
    `the GPU's compiler refuses the code of ${manifest.name}: ${message.trimEnd()}${message.endsWith('\n') ? '\n' : '; '}` +
      'compile the layer again with a compiler of this release, and report it if it stays',
    { cause },
  );
