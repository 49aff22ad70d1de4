/** Opening a WebGPU device: an adapter with all it offers, or a device that the caller brings along. */
import { RuntimeError } from '@espalier/runtime';
import { WebGpuDevice } from './device.ts';
import { isSecurePage, pageGpu } from './gpu.ts';
import { messageOf, type WebGpuLoss } from './host.ts';

/** Features that kernels can use. */
export type WebGpuFeature = 'subgroups' | 'shader-f16' | 'timestamp-query';

export interface WebGpuOptions {
  /** A device that stays the caller's: nothing is requested, and it is not destroyed on disposal. */
  readonly device?: GPUDevice;
  /** Where adapters come from: `navigator.gpu` unless told; in Node what `create()` of the package `webgpu` returned. */
  readonly gpu?: GPU;
  readonly powerPreference?: GPUPowerPreference;
  /** Asks for a software adapter where the browser has one. */
  readonly forceFallbackAdapter?: boolean;
  /** Features not to ask for though the adapter has them. */
  readonly without?: readonly WebGpuFeature[];
  /** Limits to ask for in place of the adapter's own, by WebGPU's names: `{ maxBufferSize: 2 ** 30 }`. */
  readonly requiredLimits?: Readonly<Record<string, number>>;
  /** Called once when the device is lost, unless it was disposed of before. See also `withRecovery`. */
  readonly onLost?: (loss: WebGpuLoss) => void;
}

const wantedFeatures: readonly WebGpuFeature[] = ['subgroups', 'shader-f16', 'timestamp-query'];

const wantedLimits = [
  'maxStorageBuffersPerShaderStage',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Dawn ends the process badly when this object is collected while a device lives. */
const kept = new Set<GPU>();

/**
 * Opens a device with the adapter's own limits and features. Rejects with RuntimeError R026 where there is no WebGPU, no adapter
 * or no device to be had, with what to do about it.
 */
export async function openWebGpu(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  const onLost = options.onLost ?? (() => {});
  if (options.device) return new WebGpuDevice(options.device, false, onLost);
  const gpu = options.gpu ?? pageGpu();
  if (!gpu) throw none(absence());
  kept.add(gpu);
  const { powerPreference, forceFallbackAdapter } = options;
  const adapter = await gpu.requestAdapter({
    ...(powerPreference === undefined ? {} : { powerPreference }),
    ...(forceFallbackAdapter === undefined ? {} : { forceFallbackAdapter }),
  });
  if (!adapter)
    throw none(
      'WebGPU is here, but no adapter; update the graphics driver, or install a software one (Vulkan: lavapipe or SwiftShader, ' +
        'named by VK_DRIVER_FILES before the process starts; Chromium: --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader)',
    );
  const features = wantedFeatures.filter((name) => adapter.features.has(name) && !options.without?.includes(name));
  const limits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
  const device = await adapter
    .requestDevice({ requiredFeatures: features, requiredLimits: { ...limits, ...options.requiredLimits } })
    .catch((cause) => {
      throw none(
        `the adapter gives no device: ${messageOf(cause)}; ask for less (requiredLimits, without), or close what uses the GPU`,
        cause,
      );
    });
  return new WebGpuDevice(device, true, onLost);
}

const none = (message: string, cause?: unknown): RuntimeError => new RuntimeError('R026', message, { cause });

const absence = (): string =>
  isSecurePage() === false
    ? 'browsers offer WebGPU to secure pages only; serve the page over https or from localhost'
    : isSecurePage() === undefined
      ? "there is no navigator.gpu; in Node use openDawn of @espalier/runtime-webgpu/node, or pass gpu: create([]) of the package 'webgpu'"
      : 'this browser has no WebGPU; use a current Chrome, Edge, Firefox or Safari';
