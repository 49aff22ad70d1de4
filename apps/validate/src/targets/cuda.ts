/** CUDA: on an NVIDIA GPU, and compiled for the CPU, where the same source is checked without one. Loaded when asked for: both need native code. */
import { cuda } from '@espalier/codegen';
import { compilerFor, unknownSpec } from './compiler.ts';
import type { TargetFamily } from './family.ts';

/** Most operations on the CPU, whose threads take turns at every barrier. */
const HOST_MOST = 20_000_000;

export const cudaFamily: TargetFamily = {
  name: 'cuda',
  known: ['cuda', 'cuda:0', 'cuda:nvrtc', 'cuda:nvcc', 'cuda:ptx'],
  defaults: () => [],
  all: () => ['cuda'],
  async open(spec) {
    const { openCudaTarget } = await import('@espalier/runtime-cuda');
    const device = await openCudaTarget(spec);
    // Tensor cores round operands to fewer bits than float32 has, so values are compared without them.
    const capabilities = { sm: Number(device.info.capabilities['sm']), 'tensor-cores': false };
    return {
      spec,
      device,
      threads: 1,
      ...compilerFor(cuda, capabilities),
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};

export const cudaHostFamily: TargetFamily = {
  name: 'cuda-host',
  known: ['cuda-host'],
  defaults: () => [],
  all: () => ['cuda-host'],
  async open(spec) {
    if (spec !== 'cuda-host') throw unknownSpec(spec, ['cuda-host']);
    const { openHostCuda } = await import('@espalier/runtime-cuda/host');
    const device = await openHostCuda();
    return {
      spec,
      device,
      threads: 1,
      most: HOST_MOST,
      timed: false,
      ...compilerFor(cuda, { sm: 80, 'tensor-cores': false }),
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};
