/**
 * Hand-written kernels that keep the ABI of WGSL artefacts, with the manifests a compiler would write: so that the runtime is
 * tested without any compiler. Bindings in the launch's order, then scratch, status word and sizes where there are any.
 */
import { createHash } from 'node:crypto';
import { type Artefact, type Binding, type Launch, type Manifest, rowMajor, type SizeExpr } from '@espalier/artefact';

export const binding = (
  name: string,
  role: Binding['role'],
  shape: readonly SizeExpr[],
  extra: Partial<Binding> = {},
): Binding => ({ name, role, storage: 'f32', shape, layout: rowMajor(shape.length), ...extra });

export const launch = (
  kernel: string,
  grid: SizeExpr,
  bindings: readonly string[],
  extra: Partial<Launch> = {},
): Launch => ({
  kernel,
  grid,
  workgroup: 64,
  bindings,
  dims: ['T'],
  scratch: 0,
  label: `${kernel} of a test`,
  flops: 0,
  bytes: 0,
  ...extra,
});

/** An artefact of `source` with a manifest of the given parts. */
export function artefact(
  source: string,
  parts: Pick<Manifest, 'name' | 'bindings' | 'launches'> & Partial<Manifest>,
): Artefact {
  return {
    source,
    manifest: {
      version: 1,
      target: 'wgsl',
      generator: 'test',
      dims: ['T'],
      fixed: {},
      faults: [],
      requires: [],
      numerics: {},
      checksum: createHash('sha256').update(source).digest('hex'),
      ...parts,
    },
  };
}

/** A buffer that a kernel declares: its WGSL type, an `!` before it where the kernel writes it. */
type Declared = Readonly<Record<string, string>>;

/** A module's kernel: declarations in order, and a body that sees `t`, the thread's number, and stops at `n`. */
export function kernelText(kernel: string, buffers: Declared, body: string, threads = 64): string {
  const names = Object.keys(buffers);
  const declarations = names.map((name, i) => {
    const type = buffers[name] ?? '';
    const access = type.startsWith('!') ? 'read_write' : 'read';
    return `@group(0) @binding(${i}) var<storage, ${access}> ${kernel}_${name} : ${type.replace('!', '')};`;
  });
  return `struct ${kernel}_Sizes { T : i32, grid : i32, pad_0 : i32, pad_1 : i32 }
${declarations.join('\n')}
@group(0) @binding(${names.length}) var<uniform> ${kernel}_sizes : ${kernel}_Sizes;
@compute @workgroup_size(${threads})
fn ${kernel}(@builtin(local_invocation_index) lane : u32, @builtin(workgroup_id) group : vec3u, @builtin(num_workgroups) groups : vec3u) {
  let w = i32(group.y * groups.x + group.x);
  if (w >= ${kernel}_sizes.grid) { return; }
  let t = w * ${threads} + i32(lane);
  if (t >= ${kernel}_sizes.T) { return; }
  ${body}
}
`;
}

const blocks: SizeExpr = ['ceildiv', 'T', 64];
const floats = 'array<f32>';

/** y[t] = x[t] * scale[0] + t */
export const scaleArtefact = (): Artefact =>
  artefact(
    kernelText('k0', { x: floats, scale: floats, y: `!${floats}` }, 'k0_y[t] = k0_x[t] * k0_scale[0] + f32(t);'),
    {
      name: 'scale',
      bindings: [binding('x', 'input', ['T']), binding('scale', 'weight', [1]), binding('y', 'output', ['T'])],
      launches: [launch('k0', blocks, ['x', 'scale', 'y'])],
    },
  );

/** h = 2x, y = h + x, z = y − h: a workspace, an output that a later kernel reads, three launches. */
export const chainArtefact = (): Artefact =>
  artefact(
    [
      kernelText('k0', { x: floats, h: `!${floats}` }, 'k0_h[t] = 2.0 * k0_x[t];'),
      kernelText('k1', { h: floats, x: floats, y: `!${floats}` }, 'k1_y[t] = k1_h[t] + k1_x[t];'),
      kernelText('k2', { y: floats, h: floats, z: `!${floats}` }, 'k2_z[t] = k2_y[t] - k2_h[t];'),
    ].join('\n'),
    {
      name: 'chain',
      bindings: [
        binding('x', 'input', ['T']),
        binding('h', 'workspace', ['T']),
        binding('y', 'output', ['T']),
        binding('z', 'output', ['T']),
      ],
      launches: [
        launch('k0', blocks, ['x', 'h']),
        launch('k1', blocks, ['h', 'x', 'y']),
        launch('k2', blocks, ['y', 'h', 'z']),
      ],
    },
  );

/** y[t] = table[ids[t], 0] + … + table[ids[t], 2], with a check of each id. */
export const gatherArtefact = (): Artefact =>
  artefact(
    kernelText(
      'k0',
      { ids: 'array<i32>', table: floats, y: `!${floats}`, status: '!array<atomic<i32>>' },
      `let id = k0_ids[t];
  if (id < 0 || id >= 5) { atomicMax(&k0_status[0], select(2, 1, id < 0)); return; }
  k0_y[t] = k0_table[id * 3] + k0_table[id * 3 + 1] + k0_table[id * 3 + 2];`,
    ),
    {
      name: 'gather',
      bindings: [
        binding('ids', 'input', ['T'], { storage: 'i32' }),
        binding('table', 'weight', [5, 3]),
        binding('y', 'output', ['T']),
      ],
      launches: [launch('k0', blocks, ['ids', 'table', 'y'], { checks: true })],
      faults: [
        { message: 'index of table is below 0', place: 'gather.layer:3:7' },
        { message: 'index of table is above 4', place: 'gather.layer:3:9' },
      ],
    },
  );

/** y[t] = the t-th byte of a packed i8 weight, by way of scratch. */
export const bytesArtefact = (length: number): Artefact =>
  artefact(
    kernelText(
      'k0',
      { w: 'array<u32>', y: `!${floats}`, scratch: '!array<i32>' },
      `k0_scratch[t] = extractBits(i32(k0_w[t / 4]), u32(t % 4) * 8u, 8u);
  k0_y[t] = f32(k0_scratch[t]);`,
    ),
    {
      name: 'bytes',
      bindings: [binding('w', 'weight', [length], { storage: 'i8' }), binding('y', 'output', ['T'])],
      launches: [launch('k0', blocks, ['w', 'y'], { scratch: 64 * 4 })],
    },
  );

/** y[t] = t + 1, one thread a workgroup: a large grid. */
export const countArtefact = (): Artefact =>
  artefact(kernelText('k0', { y: `!${floats}` }, 'k0_y[t] = f32(t + 1);', 1), {
    name: 'count',
    bindings: [binding('y', 'output', ['T'])],
    launches: [launch('k0', 'T', ['y'], { workgroup: 1 })],
  });

/** A kernel that waits about as long as `x[0]` says. */
export const slowArtefact = (): Artefact =>
  artefact(
    kernelText(
      'k0',
      { x: floats, y: `!${floats}` },
      `var v = k0_x[t];
  for (var i = 0; i < 100000; i += 1) { v = fract(v * 1.37 + 0.11); }
  k0_y[t] = v;`,
    ),
    {
      name: 'slow',
      bindings: [binding('x', 'input', ['T']), binding('y', 'output', ['T'])],
      launches: [launch('k0', blocks, ['x', 'y'])],
    },
  );
