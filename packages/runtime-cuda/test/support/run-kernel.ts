/** Kernels written by hand, run by a device: an artefact around one kernel, buffers full of NaN, one launch. */
import { type Artefact, evaluateSize, MANIFEST_VERSION, rowMajor, sha256Hex, storageBytes } from '@espalier/artefact';
import { cuda, type Kernel } from '@espalier/codegen';
import { Sizes } from '@espalier/ir';
import { type Device, elementsOf } from '@espalier/runtime';
import { tensorStorage } from '../../../codegen/src/kernel-ir/types.ts';
import { gridOf } from '../../../codegen/src/size-expr.ts';

export type Elements = Float32Array | Int32Array | Uint16Array | Int8Array;

/** The text of a legalised kernel as an artefact of its own. */
export async function artefactOf(kernel: Kernel, source = cuda.print([kernel], [], cuda.defaults)): Promise<Artefact> {
  const { subgroups, lanes } = kernel.workgroup ?? { subgroups: 1, lanes: 1 };
  const bindings = kernel.buffers.filter((b) => b.space === 'global');
  return {
    source,
    manifest: {
      version: MANIFEST_VERSION,
      name: kernel.name,
      target: 'cuda',
      generator: 'test',
      dims: kernel.dims,
      fixed: {},
      bindings: bindings.map((b) => ({
        name: b.name,
        role: b.access === 'read' ? 'input' : 'output',
        storage: tensorStorage(b),
        shape: [],
        layout: rowMajor(0),
      })),
      launches: [
        {
          kernel: kernel.name,
          grid: gridOf(kernel),
          workgroup: subgroups * lanes,
          bindings: bindings.map((b) => b.name),
          dims: kernel.dims,
          scratch: cuda.scratch(kernel),
          label: kernel.label,
          flops: 0,
          bytes: 0,
          ...(kernel.faults.length > 0 ? { checks: true } : {}),
        },
      ],
      faults: kernel.faults,
      requires: cuda.requires(cuda.defaults),
      numerics: {},
      checksum: await sha256Hex(source),
    },
  };
}

/** Runs a legalised kernel; gives what stands in the buffers it may write. Buffers that are not given begin as NaN. */
export async function runKernel(
  device: Device,
  kernel: Kernel,
  tensors: Readonly<Record<string, Elements>>,
  dims: Readonly<Record<string, number>> = {},
  source?: string,
): Promise<Readonly<Record<string, Elements>>> {
  const artefact = await artefactOf(kernel, source);
  const [launch] = artefact.manifest.launches;
  if (launch === undefined) throw new Error('no launch');
  const sizes = new Map(Object.entries(dims));
  const globals = kernel.buffers.filter((b) => b.space === 'global');
  using made = new DisposableStack();
  const buffers = globals.map((b) => {
    const bytes = Sizes.evaluate(Sizes.product(b.shape), sizes) * storageBytes[tensorStorage(b)];
    const buffer = made.use(device.createBuffer(bytes, b.name));
    buffer.write(tensors[b.name] ?? new Uint8Array(bytes).fill(0xff));
    return buffer;
  });
  const program = made.use(await device.load(artefact));
  const submission = made.use(
    device.prepare([
      {
        program,
        launch: 0,
        grid: evaluateSize(launch.grid, dims),
        scratch: evaluateSize(launch.scratch, dims),
        buffers: buffers.map((buffer) => ({ buffer, byteOffset: 0, byteLength: buffer.byteLength })),
        dims: kernel.dims.map((d) => dims[d] ?? Number.NaN),
        work: 0,
        label: kernel.name,
      },
    ]),
  );
  await submission.run();
  const outputs = globals.flatMap((b, i) => (b.access === 'read' ? [] : [[b, buffers[i]] as const]));
  const read = outputs.map(async ([b, buffer]) => {
    const bytes = (await buffer?.read()) ?? new Uint8Array();
    return [b.name, elementsOf(tensorStorage(b), bytes)] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}
