/**
 * Hand-written kernels that keep the ABI of WASM artefacts, assembled by wabt, with the manifests a compiler would write: so
 * that the runtime is tested without any compiler.
 */
import { createHash } from 'node:crypto';
import type { Artefact, Binding, Launch, Manifest, SizeExpr } from '@espalier/artefact';
import { rowMajor } from '@espalier/artefact';
import openWabt from 'wabt';

const wabt = await openWabt();

/** The binary of `wat`. */
export function assemble(wat: string): Uint8Array {
  const module = wabt.parseWat('kernels.wat', wat, { simd: true, relaxed_simd: true, threads: true });
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

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
  bindings,
  dims: [],
  scratch: 0,
  label: `${kernel} of a test`,
  flops: 0,
  bytes: 0,
  ...extra,
});

/** An artefact of `wat` with a manifest of the given parts. */
export function artefact(
  wat: string,
  parts: Pick<Manifest, 'name' | 'dims' | 'bindings' | 'launches'> & Partial<Manifest>,
): Artefact {
  const binary = assemble(wat);
  return {
    source: wat,
    binary,
    manifest: {
      version: 1,
      target: 'wasm',
      generator: 'test',
      fixed: {},
      faults: [],
      requires: [],
      numerics: {},
      checksum: createHash('sha256').update(binary).digest('hex'),
      ...parts,
    },
  };
}

/** `for ($i = from; $i < to; $i++) body`, with $i a local. */
const loop = (i: string, from: string, to: string, body: string): string => `
    (local.set ${i} ${from})
    (block (loop
      (br_if 1 (i32.ge_s (local.get ${i}) ${to}))
      ${body}
      (local.set ${i} (i32.add (local.get ${i}) (i32.const 1)))
      (br 0)))`;

const at = (base: string, index: string): string => `(i32.add (local.get ${base}) (i32.shl ${index} (i32.const 2)))`;

const memory = '(import "env" "memory" (memory 0 65536))';

/**
 * y[t] = scale[0] · x[t] + N, one grid step an element; N is a dim, to see dims arrive. `reversed`: of x[N − 1 − t], so that what
 * one thread writes another one reads.
 */
export const scaleArtefact = (name = 'scale', flops: SizeExpr = 0, reversed = false): Artefact =>
  artefact(
    `(module ${memory}
  (func (export "k0") (param $begin i32) (param $end i32) (param $x i32) (param $scale i32) (param $y i32) (param $N i32) (param $scratch i32) (param $status i32)
    (local $i i32)
    ${loop(
      '$i',
      '(local.get $begin)',
      '(local.get $end)',
      `(f32.store ${at('$y', '(local.get $i)')}
        (f32.add (f32.mul (f32.load (local.get $scale)) (f32.load ${at('$x', reversed ? '(i32.sub (i32.sub (local.get $N) (i32.const 1)) (local.get $i))' : '(local.get $i)')})) (f32.convert_i32_s (local.get $N))))`,
    )}))`,
    {
      name,
      dims: ['N'],
      bindings: [binding('x', 'input', ['N']), binding('scale', 'weight', [1]), binding('y', 'output', ['N'])],
      launches: [launch('k0', 'N', ['x', 'scale', 'y'], { dims: ['N'], flops })],
    },
  );

/**
 * Two launches with a workspace, scratch and a check: squares[t] = x[t]² by way of scratch; y[t] = Σ over d of
 * table[ids[t], d] · squares[t], with ids checked against V = 5; D = 3.
 */
export const gatherArtefact = (name = 'gather', flops: SizeExpr = 0): Artefact =>
  artefact(
    `(module ${memory}
  (func (export "square") (param $begin i32) (param $end i32) (param $x i32) (param $squares i32) (param $scratch i32) (param $status i32)
    (local $i i32)
    ${loop(
      '$i',
      '(local.get $begin)',
      '(local.get $end)',
      `(f32.store (local.get $scratch) (f32.load ${at('$x', '(local.get $i)')}))
       (f32.store ${at('$squares', '(local.get $i)')} (f32.mul (f32.load (local.get $scratch)) (f32.load (local.get $scratch))))`,
    )})
  (func (export "gather") (param $begin i32) (param $end i32) (param $ids i32) (param $table i32) (param $squares i32) (param $y i32) (param $scratch i32) (param $status i32)
    (local $i i32) (local $d i32) (local $id i32) (local $sum f32)
    ${loop(
      '$i',
      '(local.get $begin)',
      '(local.get $end)',
      `(local.set $id (i32.load ${at('$ids', '(local.get $i)')}))
       (if (i32.ge_u (local.get $id) (i32.const 5))
         (then (i32.store (local.get $status) (i32.const 1)) (local.set $id (i32.const 0))))
       (local.set $sum (f32.const 0))
       ${loop(
         '$d',
         '(i32.const 0)',
         '(i32.const 3)',
         `(local.set $sum (f32.add (local.get $sum) (f32.load ${at('$table', '(i32.add (i32.mul (local.get $id) (i32.const 3)) (local.get $d))')})))`,
       )}
       (f32.store ${at('$y', '(local.get $i)')} (f32.mul (local.get $sum) (f32.load ${at('$squares', '(local.get $i)')})))`,
    )}))`,
    {
      name,
      dims: ['T'],
      bindings: [
        binding('x', 'input', ['T']),
        binding('ids', 'input', ['T'], { storage: 'i32' }),
        binding('table', 'weight', [5, 3]),
        binding('squares', 'workspace', ['T']),
        binding('y', 'output', ['T']),
      ],
      launches: [
        launch('square', 'T', ['x', 'squares'], { scratch: 16, flops }),
        launch('gather', 'T', ['ids', 'table', 'squares', 'y'], { flops }),
      ],
      faults: [
        { message: 'index of table[ids[t], d] along axis 0 lies outside 0 … V - 1', place: 'gather.layer:3:21' },
      ],
    },
  );

/**
 * y[g] = x[g], but where x[g] is negative the WAT code `how` comes first: it traps, or wastes time by counting the local
 * `$spin`.
 */
export const trapArtefact = (how = '(unreachable)', flops: SizeExpr = 0): Artefact =>
  artefact(
    `(module ${memory}
  (func (export "k0") (param $begin i32) (param $end i32) (param $x i32) (param $y i32) (param $scratch i32) (param $status i32)
    (local $i i32) (local $spin i32)
    ${loop(
      '$i',
      '(local.get $begin)',
      '(local.get $end)',
      `(if (f32.lt (f32.load ${at('$x', '(local.get $i)')}) (f32.const 0)) (then ${how}))
       (f32.store ${at('$y', '(local.get $i)')} (f32.load ${at('$x', '(local.get $i)')}))`,
    )}))`,
    {
      name: 'trap',
      dims: ['N'],
      bindings: [binding('x', 'input', ['N']), binding('y', 'output', ['N'])],
      launches: [launch('k0', 'N', ['x', 'y'], { flops })],
    },
  );
