/** Artefacts whose kernels are those of kernels.cc: a scaling of a vector, and a lookup that checks its indices. */
import { type Artefact, MANIFEST_VERSION, type Manifest, rowMajor, sha256Hex } from '@espalier/artefact';

const vector = (name: string, role: 'input' | 'weight' | 'output', storage: 'f32' | 'i32', size: string | number) =>
  ({ name, role, storage, shape: [size], layout: rowMajor(1) }) as const;

const common = {
  version: MANIFEST_VERSION,
  target: 'cuda',
  generator: 'a test',
  fixed: {},
  requires: ['sm=80'],
  numerics: {},
} as const;

const cost = { flops: 'n', bytes: 'n', label: 'a test' } as const;

/** Threads of a block. */
export const THREADS = 32;

/** y = x * w + step, `launches` times over. */
export async function scaling(binary: Uint8Array, launches = 1, changes: Partial<Manifest> = {}): Promise<Artefact> {
  const launch = {
    kernel: 'scale',
    grid: ['ceildiv', 'n', THREADS],
    workgroup: THREADS,
    bindings: ['x', 'w', 'y'],
    dims: ['n', 'step'],
    scratch: 0,
    ...cost,
  } as const;
  const manifest: Manifest = {
    ...common,
    name: 'scaling',
    dims: ['n', 'step'],
    bindings: [vector('x', 'input', 'f32', 'n'), vector('w', 'weight', 'f32', 1), vector('y', 'output', 'f32', 'n')],
    launches: Array.from({ length: launches }, () => launch),
    faults: [],
    checksum: await sha256Hex(binary),
    ...changes,
  };
  return { manifest, source: '', binary };
}

/** y = table[ids], with 5 rows, by way of scratch memory. */
export async function lookup(binary: Uint8Array): Promise<Artefact> {
  const manifest: Manifest = {
    ...common,
    name: 'lookup',
    dims: ['n', 'rows'],
    bindings: [
      vector('ids', 'input', 'i32', 'n'),
      vector('table', 'weight', 'f32', 5),
      vector('y', 'output', 'f32', 'n'),
    ],
    launches: [
      {
        kernel: 'lookup',
        grid: ['ceildiv', 'n', THREADS],
        workgroup: THREADS,
        bindings: ['ids', 'table', 'y'],
        dims: ['n', 'rows'],
        scratch: 16,
        checks: true,
        ...cost,
      },
    ],
    faults: [
      { message: 'never', place: 'nowhere' },
      { message: 'index of table[ids[i]] lies outside 0 … rows - 1', place: 'lookup.layer:3:9' },
    ],
    checksum: await sha256Hex(binary),
  };
  return { manifest, source: '', binary };
}

/** CUDA C of the same scaling, for real compilers. */
export const scalingSource = `extern "C" __global__ void __launch_bounds__(${THREADS})
scale(const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int n, int step) {
  int i = blockIdx.x * ${THREADS} + threadIdx.x;
  if (i < n) y[i] = x[i] * w[0] + (float)step;
}
`;
