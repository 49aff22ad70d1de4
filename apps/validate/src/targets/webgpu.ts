/** WebGPU in this Node, through Dawn: with everything the adapter offers, or with nothing but what every device has. */
import { existsSync } from 'node:fs';
import { wgsl } from '@espalier/codegen';
import { RuntimeError } from '@espalier/runtime';
import { compilerCapabilities, type WebGpuDevice } from '@espalier/runtime-webgpu';
import { type DawnOptions, openDawn } from '@espalier/runtime-webgpu/node';
import { graphics } from '../compare/tolerance.ts';
import { compilerFor, unknownSpec } from './compiler.ts';
import type { TargetFamily } from './family.ts';

const specs = ['webgpu', 'webgpu:plain'] as const;

/** The driver of the software GPU that comes with Chromium. */
const softwareDriver = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** The machine's own GPU; where it has none and nobody chose a driver, Chromium's software one. */
async function openAny(options: DawnOptions): Promise<WebGpuDevice> {
  try {
    return await openDawn(options);
  } catch (error) {
    const nothingHere = error instanceof RuntimeError && error.code === 'R026';
    if (!nothingHere || process.env['VK_DRIVER_FILES'] !== undefined || !existsSync(softwareDriver)) throw error;
    // Node hands this on to the process, where Vulkan's loader reads it anew for each device.
    process.env['VK_DRIVER_FILES'] = softwareDriver;
    return openDawn(options);
  }
}

export const webgpuFamily: TargetFamily = {
  name: 'webgpu',
  known: specs,
  defaults: () => [],
  all: () => specs,
  async open(spec) {
    if (!specs.some((known) => known === spec)) throw unknownSpec(spec, specs);
    const device = await openAny(spec === 'webgpu:plain' ? { without: ['subgroups', 'shader-f16'] } : {});
    // Plain: code that runs on every device, so nothing is said of this one.
    const capabilities = spec === 'webgpu:plain' ? {} : compilerCapabilities(device);
    return {
      spec,
      device,
      threads: 1,
      strictness: graphics,
      // A GPU made of software says nothing about the time of one.
      timed: !/swiftshader|llvmpipe/i.test(device.info.name),
      ...compilerFor(wgsl, capabilities),
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};
