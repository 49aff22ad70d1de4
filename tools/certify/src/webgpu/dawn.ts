/**
 * WebGPU in this process, through Dawn: one object for all who use it, ours and onnxruntime-web, which finds it where a page would
 * have it. Dispatches are counted, since a provider that falls back to the CPU would be timed for nothing.
 */

/** Not a literal where it is imported, so that bundlers leave it alone. */
const packageName: string = 'webgpu';

interface DawnPackage {
  readonly create: (flags: readonly string[]) => GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** WebGPU, and how much it was asked to do. */
export interface Dawn {
  readonly gpu: GPU;
  /** Dispatches recorded since the process began. */
  readonly dispatches: () => number;
}

let opened: Dawn | undefined;
const kept: GPU[] = [];

/** Dawn keeps f16 from NVIDIA's driver unless it is told. */
export const F16_ON_NVIDIA = 'vulkan_enable_f16_on_nvidia';

/** Another WebGPU in this process, with one of Dawn's own features. Rejects as `openDawnHere`. */
export async function dawnWith(feature: string): Promise<GPU> {
  const { create } = (await import(packageName)) as DawnPackage;
  const gpu = create([`enable-dawn-features=${feature}`]);
  kept.push(gpu);
  return gpu;
}

/** Opens it once. Rejects with what Node says where the package is missing or does not load. */
export async function openDawnHere(): Promise<Dawn> {
  if (opened) return opened;
  const { create, globals } = (await import(packageName)) as DawnPackage;
  Object.assign(globalThis, globals);
  // Kept for the life of the process: a device whose object is collected hangs.
  const gpu = create([]);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  let dispatches = 0;
  const { prototype } = globals['GPUComputePassEncoder'] as { readonly prototype: object };
  for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect']) {
    const original: unknown = Reflect.get(prototype, name);
    if (typeof original !== 'function') throw new Error(`WebGPU has no ${name}`);
    Reflect.set(prototype, name, function (this: object, ...given: unknown[]): unknown {
      dispatches++;
      return Reflect.apply(original, this, given);
    });
  }
  opened = { gpu, dispatches: () => dispatches };
  return opened;
}
