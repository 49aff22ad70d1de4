/** WebGPU in Node, through Dawn: the package `webgpu`, which a project that wants this installs itself (130 MB). */
import { RuntimeError } from '@espalier/runtime';
import type { WebGpuDevice } from './device.ts';
import { messageOf } from './host.ts';
import { openWebGpu, type WebGpuOptions } from './open.ts';

export interface DawnOptions extends Omit<WebGpuOptions, 'gpu' | 'device'> {
  /**
   * `null`: no driver at all, compiles and checks and runs nothing, so outputs mean nothing, and nor does what checks inside kernels
   * report; else Dawn chooses unless told.
   */
  readonly backend?: 'null' | 'vulkan' | 'metal' | 'd3d12' | 'd3d11' | 'opengl' | 'opengles';
  /** Part of the name of the adapter to take. */
  readonly adapter?: string;
  /** More of Dawn's own options, such as `enable-dawn-features=dump_shaders`. */
  readonly flags?: readonly string[];
}

/** Not a literal where it is imported, so that bundlers leave it alone and TypeScript does not look for it. */
const packageName: string = 'webgpu';

/**
 * Opens a device through Dawn. Rejects with RuntimeError R026 where the package is missing, or as `openWebGpu` does. Drivers
 * are found by the environment the process started with (`VK_DRIVER_FILES`).
 */
export async function openDawn(options: DawnOptions = {}): Promise<WebGpuDevice> {
  const { backend, adapter, flags, ...others } = options;
  const dawn = await import(packageName).catch((cause: unknown) => {
    throw new RuntimeError(
      'R026',
      `the package webgpu, which brings WebGPU to Node, does not load (${messageOf(cause).split('\n')[0]}); install it: npm install webgpu`,
      { cause },
    );
  });
  const { create } = dawn as { create(flags: readonly string[]): GPU };
  const gpu = create([
    ...(backend === undefined ? [] : [`backend=${backend}`]),
    ...(adapter === undefined ? [] : [`adapter=${adapter}`]),
    ...(flags ?? []),
  ]);
  return openWebGpu({ ...others, gpu });
}
