/** CUDA C on the CPU: the check of what the compiler prints, for machines without a GPU. */
export { HostBuffer } from './buffer.ts';
export { HostCudaDevice, type HostCudaOptions, openHostCuda } from './device.ts';
export { HostProgram } from './program.ts';
export { HostSubmission } from './submission.ts';
