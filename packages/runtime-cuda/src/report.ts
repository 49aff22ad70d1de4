/** What this machine has of CUDA, for people and tools: never an error, whatever is missing. */
import { findNvcc } from './compile/nvcc.ts';
import { findNvrtc } from './compile/nvrtc.ts';
import { type CudaDeviceDescription, describeDevice, startDriver } from './driver/devices.ts';

/** A part of CUDA that is there, or why it is not. */
export type Found<Parts> = ({ readonly found: true } & Parts) | { readonly found: false; readonly reason: string };

export interface CudaReport {
  /** Whether `openCuda` would open a device. */
  readonly available: boolean;
  /** Why not; the text of the error that `openCuda` rejects with. */
  readonly reason?: string;
  readonly driver: Found<{ readonly path: string; readonly version: string }>;
  readonly toolkit: {
    readonly nvcc: Found<{
      readonly path: string;
      readonly version: string;
      readonly architectures: readonly number[];
    }>;
    readonly nvrtc: Found<{
      readonly path: string;
      readonly version: string;
      readonly architectures: readonly number[];
    }>;
  };
  readonly devices: readonly CudaDeviceDescription[];
}

export interface CudaReportOptions {
  /** As in `CudaOptions`. */
  readonly library?: string;
  readonly nvcc?: string;
  readonly nvrtc?: string;
}

/** Looks at the driver, its devices, nvcc and NVRTC. Never rejects. */
export async function cudaReport(options: CudaReportOptions = {}): Promise<CudaReport> {
  const nvcc = await findNvcc(options.nvcc);
  const nvrtc = findNvrtc(options.nvrtc);
  const part = (tool: typeof nvcc | typeof nvrtc): CudaReport['toolkit']['nvcc'] =>
    'reason' in tool
      ? { found: false, reason: tool.reason }
      : { found: true, path: tool.path, version: tool.version, architectures: tool.known };
  const toolkit = { nvcc: part(nvcc), nvrtc: part(nvrtc) };
  const started = startDriver(options.library);
  if ('reason' in started)
    return {
      available: false,
      reason: started.reason,
      driver: { found: false, reason: started.reason },
      toolkit,
      devices: [],
    };
  const driver = { found: true, path: started.driver.path, version: started.version } as const;
  try {
    const devices = Array.from({ length: started.count }, (_, ordinal) => describeDevice(started.driver, ordinal));
    if (devices.length > 0) return { available: true, driver, toolkit, devices };
    return { available: false, reason: 'the driver shows no device', driver, toolkit, devices };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { available: false, reason, driver, toolkit, devices: [] };
  }
}
