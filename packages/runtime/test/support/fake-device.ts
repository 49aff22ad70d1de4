/**
 * A device that is nothing but the contract: buffers are arrays that no host may view, kernels are functions of this file.
 * It poisons what it allocates with NaN, counts what it does, and checks that everything is disposed of once. What works
 * here assumes nothing about WASM.
 */
import {
  type Artefact,
  type Binding,
  type CompiledGraph,
  type Manifest,
  rowMajor,
  type SizeExpr,
} from '@espalier/artefact';
import type { Device, DeviceBuffer, DeviceLaunch, Program, Submission } from '../../src/index.ts';

type Kernel = (grid: number, buffers: readonly Float32Array[]) => void;

const at = (buffer: Float32Array | undefined, i: number): number => buffer?.[i] ?? Number.NaN;

/** y = x + w, elementwise; y = a + b; tmp = 2a then y = tmp + b; and one that always fails. */
const kernels: Readonly<Record<string, Kernel>> = {
  bias: (grid, [x, w, y]) => {
    for (let i = 0; i < grid; i++) y?.fill(at(x, i) + at(w, i % (w?.length ?? 1)), i, i + 1);
  },
  add: (grid, [a, b, y]) => {
    for (let i = 0; i < grid; i++) y?.fill(at(a, i) + at(b, i), i, i + 1);
  },
  double: (grid, [a, y]) => {
    for (let i = 0; i < grid; i++) y?.fill(2 * at(a, i), i, i + 1);
  },
  fail: () => {
    throw new Error('failed on purpose');
  },
};

export interface FakeDevice extends Device {
  readonly counts: {
    loads: number;
    buffers: number;
    prepared: number;
    liveBytes: number;
    live: number;
    packedBytes: number;
    /** Calls of `DeviceBuffer.read`. */
    reads: number;
  };
  /** Bytes after which createBuffer fails as a full device does. */
  limit: number;
  readonly error: () => Error;
  /** When set, runs wait for it. */
  gate: Promise<void> | undefined;
}

/**
 * A fresh device; `full` makes the error of a full one. A `remote` one is as GPUs are: tensors lie in separate buffers, runs
 * read their results themselves, and memory runs out only after `createBuffer` has returned.
 */
export function fakeDevice(full: () => Error, remote = false): FakeDevice {
  const storage = new Map<DeviceBuffer, Uint8Array<ArrayBuffer>>();
  const counts = { loads: 0, buffers: 0, prepared: 0, liveBytes: 0, live: 0, packedBytes: 0, reads: 0 };
  const once = (what: string, free: () => void): (() => void) => {
    let done = false;
    counts.live++;
    return () => {
      if (done) throw new Error(`${what} is disposed of twice`);
      done = true;
      counts.live--;
      free();
    };
  };
  const device: FakeDevice = {
    info: { target: 'fake', name: 'fake', capabilities: {}, ...(remote ? { placement: 'separate' } : {}) },
    alignment: 64,
    counts,
    limit: Number.POSITIVE_INFINITY,
    error: full,
    gate: undefined,
    createBuffer(byteLength, label) {
      if (!remote && counts.liveBytes + byteLength > device.limit) throw full();
      const bytes = new Uint8Array(byteLength).fill(0xff);
      const buffer: DeviceBuffer = {
        byteLength,
        label,
        write(data, byteOffset = 0) {
          counts.packedBytes += data.byteLength;
          bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
        },
        read: async (byteOffset = 0, length = byteLength - byteOffset) => {
          counts.reads++;
          return bytes.slice(byteOffset, byteOffset + length);
        },
        [Symbol.dispose]: once(`buffer ${label}`, () => {
          counts.liveBytes -= byteLength;
          storage.delete(buffer);
        }),
      };
      storage.set(buffer, bytes);
      counts.buffers++;
      counts.liveBytes += byteLength;
      return buffer;
    },
    async load(artefact): Promise<Program> {
      counts.loads++;
      return { manifest: artefact.manifest, [Symbol.dispose]: once(`program ${artefact.manifest.name}`, () => {}) };
    },
    prepare(launches): Submission {
      counts.prepared++;
      const run = async (): Promise<void> => {
        await device.gate;
        for (const launch of launches) runLaunch(launch, storage);
      };
      const submission = { run, [Symbol.dispose]: once('submission', () => {}) };
      if (!remote) return submission;
      return {
        ...submission,
        async runAndRead(ranges) {
          await run();
          return ranges.map(({ buffer, byteOffset, byteLength }) =>
            (storage.get(buffer) as Uint8Array<ArrayBuffer>).slice(byteOffset, byteOffset + byteLength),
          );
        },
        ready: counts.liveBytes > device.limit ? Promise.reject(full()) : Promise.resolve(),
      };
    },
    [Symbol.dispose]: () => {},
  };
  return device;
}

function runLaunch(launch: DeviceLaunch, storage: ReadonlyMap<DeviceBuffer, Uint8Array<ArrayBuffer>>): void {
  const described = launch.program.manifest.launches[launch.launch];
  const buffers = launch.buffers.map(({ buffer, byteOffset, byteLength }) => {
    const bytes = storage.get(buffer);
    if (!bytes) throw new Error(`${launch.label} uses a buffer after its end`);
    return new Float32Array(bytes.buffer, byteOffset, byteLength / 4);
  });
  kernels[described?.kernel ?? '']?.(launch.grid, buffers);
}

const binding = (name: string, role: Binding['role'], shape: readonly SizeExpr[]): Binding => ({
  name,
  role,
  storage: 'f32',
  shape,
  layout: rowMajor(shape.length),
});

const fakeArtefact = (
  name: string,
  bindings: readonly Binding[],
  launches: readonly (readonly [string, ...string[]])[],
): Artefact => {
  const manifest: Manifest = {
    version: 1,
    name,
    target: 'fake',
    generator: 'test',
    dims: ['T'],
    fixed: {},
    bindings,
    launches: launches.map(([kernel, ...names]) => ({
      kernel,
      grid: ['*', 'T', 3],
      bindings: names,
      dims: [],
      scratch: 0,
      label: kernel,
      flops: 0,
      bytes: 0,
    })),
    faults: [],
    requires: [],
    numerics: {},
    checksum: '',
  };
  return { manifest, source: '' };
};

/** Layers over [T, 3]: `bias` adds weight w[3]; `add` adds two tensors; `twice` is 2a + b by way of a workspace. */
export const bias = fakeArtefact(
  'bias',
  [binding('x', 'input', ['T', 3]), binding('w', 'weight', [3]), binding('y', 'output', ['T', 3])],
  [['bias', 'x', 'w', 'y']],
);

export const add = fakeArtefact(
  'add',
  [binding('a', 'input', ['T', 3]), binding('b', 'input', ['T', 3]), binding('y', 'output', ['T', 3])],
  [['add', 'a', 'b', 'y']],
);

export const twice = fakeArtefact(
  'twice',
  [
    binding('a', 'input', ['T', 3]),
    binding('b', 'input', ['T', 3]),
    binding('tmp', 'workspace', ['T', 3]),
    binding('y', 'output', ['T', 3]),
  ],
  [
    ['double', 'a', 'tmp'],
    ['add', 'tmp', 'b', 'y'],
  ],
);

export const failing = fakeArtefact(
  'failing',
  [binding('x', 'input', ['T', 3]), binding('y', 'output', ['T', 3])],
  [['fail', 'x', 'y']],
);

const tensor = (name: string): CompiledGraph['tensors'][number] => ({ name, storage: 'f32', shape: ['B', 'S', 3] });
const dims = { T: ['*', 'B', 'S'] } as const;

/** A graph of residual blocks h(i+1) = 2·(h(i) + w(i)) + h(i), `blocks` of them, from "x" to "out". */
export function residualGraph(blocks: number, sameWeight = false): CompiledGraph {
  const name = (i: number): string => (i === 0 ? 'x' : i === blocks ? 'out' : `h${i}`);
  const steps: CompiledGraph['steps'][number][] = [];
  const tensors = [tensor('x')];
  for (let i = 0; i < blocks; i++) {
    tensors.push(tensor(`b${i}`), tensor(name(i + 1)));
    steps.push(
      {
        id: `${i}.bias`,
        artefact: 0,
        dims,
        tensors: { x: name(i), y: `b${i}` },
        weights: { w: sameWeight ? 'w' : `w${i}` },
      },
      { id: `${i}.twice`, artefact: 1, dims, tensors: { a: `b${i}`, b: name(i), y: name(i + 1) }, weights: {} },
    );
  }
  return {
    name: 'residual',
    target: 'fake',
    dims: ['B', 'S'],
    tensors,
    inputs: ['x'],
    outputs: ['out'],
    steps,
    artefacts: [bias, twice],
  };
}
