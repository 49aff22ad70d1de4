/**
 * What this package needs of WebGPU besides its types: the flags as numbers, because the globals that name them are absent
 * in Node, and the page's own `GPU`.
 */
/// <reference types="@webgpu/types" />

/** `GPUBufferUsage`. */
export const USAGE = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, storage: 0x80 } as const;
/** `GPUMapMode.READ`. */
export const MAP_READ = 0x1;
/** `GPUShaderStage.COMPUTE`. */
export const COMPUTE = 0x4;

/** `navigator.gpu`; undefined in Node, in old browsers and on pages that are not secure. */
export const pageGpu = (): GPU | undefined => (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;

/** Whether the page is one that browsers offer WebGPU to; undefined outside pages. */
export const isSecurePage = (): boolean | undefined => (globalThis as { isSecureContext?: boolean }).isSecureContext;

/** `value` rounded up to a multiple of `step`. */
export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Bytes for people. */
export const sayBytes = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} bytes`
    : bytes < 2 ** 20
      ? `${(bytes / 1024).toFixed(1)} KiB`
      : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
