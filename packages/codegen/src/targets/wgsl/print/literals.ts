/** Types and numbers as WGSL writes them. */
import type { ScalarType, ValueType } from '../../../kernel-ir/types.ts';

const short: Readonly<Record<ScalarType, string>> = { f32: 'f', i32: 'i', bool: '' };

/** "f32", "vec4f", "vec4<bool>". */
export function typeName({ scalar, lanes }: ValueType): string {
  if (lanes === 1) return scalar;
  return scalar === 'bool' ? `vec${lanes}<bool>` : `vec${lanes}${short[scalar]}`;
}

/** The type as part of a name: "f32", "vec4f", "vec4b". */
export const typeWord = (t: ValueType): string => (t.scalar === 'bool' && t.lanes > 1 ? `vec${t.lanes}b` : typeName(t));

/** u32 in as many lanes. */
export const unsignedName = (lanes: number): string => (lanes === 1 ? 'u32' : `vec${lanes}u`);

/** What constant expressions can't be in WGSL; kernels that need one make it while they run. */
export const INFINITY = 'infinity';
export const NAN = 'not_a_number';

const smallestNormal = 2 ** -126;

/** A literal. Those of f32 say so, since WGSL computes with bare ones in double precision. */
export function literal(value: number, scalar: ScalarType): string {
  if (scalar === 'bool') return value === 0 ? 'false' : 'true';
  if (scalar === 'i32') return String(value | 0);
  const f = Math.fround(value);
  if (Number.isNaN(f)) return NAN;
  if (!Number.isFinite(f)) return f > 0 ? INFINITY : `-${INFINITY}`;
  if (Object.is(f, -0)) return '-0f';
  if (f !== 0 && Math.abs(f) < smallestNormal) {
    const bits = new DataView(new ArrayBuffer(4));
    bits.setFloat32(0, f);
    return `bitcast<f32>(0x${bits.getUint32(0).toString(16)}u)`;
  }
  return `${shortest(f)}f`;
}

const largest = 3.4028234663852886e38;

/** The fewest digits that round to this f32. Beyond the largest, even what rounds to it is refused. */
function shortest(f: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const value = Number(f.toPrecision(digits));
    if (Math.fround(value) === f && Math.abs(value) <= largest) return String(value);
  }
  return String(f);
}
