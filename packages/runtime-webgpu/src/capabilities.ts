/**
 * What a device can do, as observed of it: names as the compiler's WGSL target has them, and the limits that sizes are
 * checked against.
 */
import { type Artefact, ArtefactError, type Manifest } from '@espalier/artefact';
import { checkCompiledFor, type Device, type DeviceInfo } from '@espalier/runtime';
import { bindingNames, type KernelInterface } from './interface.ts';

/** Sizes of subgroups as adapters state them; not every browser does. */
interface SubgroupSizes {
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
}

/** The `DeviceInfo` of a GPUDevice. */
export function observe(gpu: GPUDevice): DeviceInfo {
  const { limits, features } = gpu;
  // Absent in older browsers; what it would say is for people, or may be left unsaid.
  const adapter = gpu.adapterInfo as (GPUAdapterInfo & SubgroupSizes) | undefined;
  const subgroups = features.has('subgroups');
  const f16 = features.has('shader-f16');
  const { subgroupMinSize: least, subgroupMaxSize: most } = adapter ?? {};
  const what = [adapter?.vendor, adapter?.architecture, adapter?.device, adapter?.description];
  const words = [...new Set(what.filter((word) => word))].join(' ');
  const extras = [subgroups ? 'subgroups' : '', f16 ? 'f16' : ''].filter((word) => word !== '');
  return {
    target: 'wgsl',
    name: ['webgpu', words || 'unnamed adapter', ...extras].join(', '),
    placement: 'separate',
    capabilities: {
      subgroups,
      ...(subgroups && least !== undefined && least === most ? { 'subgroup-size': least } : {}),
      f16,
      'timestamp-query': features.has('timestamp-query'),
      'workgroup-threads': Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      'workgroup-bytes': limits.maxComputeWorkgroupStorageSize,
      'storage-buffers': limits.maxStorageBuffersPerShaderStage,
      'binding-bytes': limits.maxStorageBufferBindingSize,
      'buffer-bytes': limits.maxBufferSize,
      workgroups: limits.maxComputeWorkgroupsPerDimension,
    },
  };
}

/** What the compiler's WGSL target is told about a machine. */
export interface CompilerCapabilities {
  readonly subgroups: boolean;
  readonly 'subgroup-size'?: number;
  readonly f16: boolean;
  readonly 'workgroup-threads': number;
  readonly 'workgroup-bytes': number;
  readonly 'storage-buffers': number;
  readonly [name: string]: boolean | number;
}

/**
 * The capabilities to compile for `device` with: `compile(layer, { target: wgsl, capabilities: compilerCapabilities(device) })`.
 * Artefacts compiled without any run everywhere.
 */
export function compilerCapabilities(device: Pick<Device, 'info'>): CompilerCapabilities {
  const { capabilities } = device.info;
  const pick = (names: readonly string[]): Record<string, boolean | number | string> =>
    Object.fromEntries(names.flatMap((name) => (capabilities[name] === undefined ? [] : [[name, capabilities[name]]])));
  return pick([
    'subgroups',
    'subgroup-size',
    'f16',
    'workgroup-threads',
    'workgroup-bytes',
    'storage-buffers',
  ]) as unknown as CompilerCapabilities;
}

/** Whether the device has what one entry of `Manifest.requires` names: "f16", or "workgroup-threads=256" for at least as many. */
function has(info: DeviceInfo, requirement: string): boolean {
  const [name = '', value] = requirement.split('=');
  const held = info.capabilities[name];
  if (value === undefined) return held === true || (typeof held === 'number' && held > 0);
  return typeof held === 'number' && (name === 'subgroup-size' ? held === Number(value) : held >= Number(value));
}

/** `others`: another way out than to compile for this device. */
const lacks = (manifest: Manifest, info: DeviceInfo, what: string, others = ''): ArtefactError =>
  new ArtefactError(
    'A009',
    `${manifest.name} needs ${what}, which ${info.name} lacks; compile the layer with the capabilities that ` +
      `compilerCapabilities(device) gives${others}`,
  );

/** Throws ArtefactError A002, A008 or A009 unless a device of `info` can load the artefact. */
export function checkLoadable({ manifest }: Artefact, info: DeviceInfo): void {
  checkCompiledFor(info.target, manifest);
  const lacking = manifest.requires.find((requirement) => !has(info, requirement));
  if (lacking !== undefined) throw lacks(manifest, info, lacking, ', or with none');
  // What is lacking from here on is less than WebGPU promises everywhere: code compiled with none lacks it, too.
  for (const launch of manifest.launches) {
    const threads = launch.workgroup ?? 1;
    const mostThreads = info.capabilities['workgroup-threads'] as number;
    if (threads > mostThreads)
      throw lacks(
        manifest,
        info,
        `workgroups of ${threads} threads for kernel ${launch.kernel} (there are ${mostThreads})`,
      );
    const buffers = bindingNames(launch).length - 1;
    const mostBuffers = info.capabilities['storage-buffers'] as number;
    if (buffers > mostBuffers)
      throw lacks(manifest, info, `${buffers} storage buffers for kernel ${launch.kernel} (there are ${mostBuffers})`);
  }
}

/** Throws ArtefactError A009 for a kernel that declares more workgroup memory than there is. */
export function checkWorkgroups(
  { manifest }: Artefact,
  interfaces: ReadonlyMap<string, KernelInterface>,
  info: DeviceInfo,
): void {
  const most = info.capabilities['workgroup-bytes'] as number;
  for (const [kernel, { workgroupBytes }] of interfaces)
    if (workgroupBytes > most)
      throw lacks(
        manifest,
        info,
        `${workgroupBytes} bytes of workgroup memory for kernel ${kernel} (there are ${most})`,
      );
}
