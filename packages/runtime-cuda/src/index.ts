/** Runs Espalier artefacts on NVIDIA GPUs through the CUDA driver API. */
export { CudaBuffer } from './buffer.ts';
export type { CompilerChoice } from './compile/image.ts';
export { findNvcc, type Nvcc } from './compile/nvcc.ts';
export { findNvrtc, type Nvrtc } from './compile/nvrtc.ts';
export { type PtxOptions, withPtx } from './compile/ptx.ts';
export { CudaDevice, type CudaMemoryStatistics } from './device.ts';
export type { CudaDeviceDescription } from './driver/devices.ts';
export * from './open.ts';
export { CudaProgram } from './program.ts';
export * from './report.ts';
export { CudaSubmission } from './submission.ts';
