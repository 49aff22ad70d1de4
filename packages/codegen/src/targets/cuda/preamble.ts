/** Helpers for scalars, vectors and memory. Those for matrix units are in fragments.ts. */
import { type Helper, instruction, needing, ordinary, templated, together } from './helper.ts';

const struct = (text: string): Helper => ({ machine: false, needs: [], lines: [text] });

/** Loads and stores of n elements at an address that is a multiple of their size. */
const aligned = (n: 2 | 4): Readonly<Record<string, Helper>> => ({
  [`load${n}`]: together(
    ordinary(`float${n} load${n}(const float* from)`, `return *reinterpret_cast<const float${n}*>(from);`),
    ordinary(`int${n} load${n}(const int* from)`, `return *reinterpret_cast<const int${n}*>(from);`),
  ),
  [`store${n}`]: together(
    ordinary(`void store${n}(float* to, float${n} v)`, `*reinterpret_cast<float${n}*>(to) = v;`),
    ordinary(`void store${n}(int* to, int${n} v)`, `*reinterpret_cast<int${n}*>(to) = v;`),
  ),
});

const members = (n: 2 | 4): readonly string[] => ['x', 'y', 'z', 'w'].slice(0, n);
const list = (n: 2 | 4, item: (i: number, member: string) => string, separator = ', '): string =>
  members(n)
    .map((member, i) => item(i, member))
    .join(separator);

/** The same element by element: of registers, of memory that is not aligned, of narrow elements. */
const oneByOne = (n: 2 | 4): Readonly<Record<string, Helper>> => ({
  [`each${n}`]: together(
    ordinary(`float${n} each${n}(const float* from)`, `return {${list(n, (i) => `from[${i}]`)}};`),
    templated('class T', ordinary(`int${n} each${n}(const T* from)`, `return {${list(n, (i) => `from[${i}]`)}};`)),
  ),
  [`put${n}`]: templated(
    'class T, class V',
    ordinary(`void put${n}(T* to, V v)`, `${list(n, (i, m) => `to[${i}] = (T)v.${m};`, ' ')}`),
  ),
  [`f16_each${n}`]: needing(
    ['f16_to_f32'],
    ordinary(
      `float${n} f16_each${n}(const unsigned short* from)`,
      `return {${list(n, (i) => `f16_to_f32(from[${i}])`)}};`,
    ),
  ),
  [`f16_load${n}`]: needing(
    ['f16_to_f32'],
    ordinary(
      `float${n} f16_load${n}(const unsigned short* from)`,
      `const ushort${n} bits = *reinterpret_cast<const ushort${n}*>(from);`,
      `return {${list(n, (_, m) => `f16_to_f32(bits.${m})`)}};`,
    ),
  ),
  [`f16_put${n}`]: needing(
    ['f32_to_f16'],
    ordinary(
      `void f16_put${n}(unsigned short* to, float${n} v)`,
      `${list(n, (i, m) => `to[${i}] = f32_to_f16(v.${m});`, ' ')}`,
    ),
  ),
});

const splat = (n: 2 | 4): Helper =>
  together(
    ordinary(`float${n} splat${n}(float a)`, `return {${list(n, () => 'a')}};`),
    ordinary(`int${n} splat${n}(int a)`, `return {${list(n, () => 'a')}};`),
  );

/** The same for what nobody reads again: caches let go of it first. */
const passing = (n: 1 | 2 | 4): Readonly<Record<string, Helper>> => {
  const [f, i] = n === 1 ? ['float', 'int'] : [`float${n}`, `int${n}`];
  const at = (type: string, name: string): string => (n === 1 ? name : `reinterpret_cast<${type}*>(${name})`);
  return {
    [`pass${n}`]: together(
      ordinary(`${f} pass${n}(const float* from)`, `return __ldcs(${at(`const ${f}`, 'from')});`),
      ordinary(`${i} pass${n}(const int* from)`, `return __ldcs(${at(`const ${i}`, 'from')});`),
    ),
    [`put_by${n}`]: together(
      ordinary(`void put_by${n}(float* to, ${f} v)`, `__stcs(${at(f, 'to')}, v);`),
      ordinary(`void put_by${n}(int* to, ${i} v)`, `__stcs(${at(i, 'to')}, v);`),
    ),
  };
};

/** In the order they are printed: what a function calls stands before it. */
export const helpers: Readonly<Record<string, Helper>> = {
  bool2: struct('struct bool2 { bool x, y; };'),
  bool4: struct('struct bool4 { bool x, y, z, w; };'),
  // NaN where one is NaN, and -0 below 0; fminf and fmaxf keep to neither.
  min: instruction('min(float a, float b)', ['float', 'f'], 'min.NaN.f32 %0, %1, %2', '"f"(a)', '"f"(b)'),
  max: instruction('max(float a, float b)', ['float', 'f'], 'max.NaN.f32 %0, %1, %2', '"f"(a)', '"f"(b)'),
  f16_to_f32: instruction('f16_to_f32(unsigned short bits)', ['float', 'f'], 'cvt.f32.f16 %0, %1', '"h"(bits)'),
  f32_to_f16: instruction('f32_to_f16(float a)', ['unsigned short', 'h'], 'cvt.rn.f16.f32 %0, %1', '"f"(a)'),
  // Kernel IR integers wrap; in C only unsigned ones do.
  wrapping_add: ordinary('int wrapping_add(int a, int b)', 'return (int)((unsigned)a + (unsigned)b);'),
  wrapping_sub: ordinary('int wrapping_sub(int a, int b)', 'return (int)((unsigned)a - (unsigned)b);'),
  wrapping_mul: ordinary('int wrapping_mul(int a, int b)', 'return (int)((unsigned)a * (unsigned)b);'),
  wrapping_abs: ordinary('int wrapping_abs(int a)', 'return a < 0 ? (int)(0u - (unsigned)a) : a;'),
  // Rounded down, where C rounds towards 0; b > 0.
  floordiv: ordinary('int floordiv(int a, int b)', 'return a / b - (a % b < 0);'),
  mod: ordinary('int mod(int a, int b)', 'const int rest = a % b;', 'return rest < 0 ? rest + b : rest;'),
  splat2: splat(2),
  splat4: splat(4),
  ...aligned(2),
  ...aligned(4),
  ...passing(1),
  ...passing(2),
  ...passing(4),
  ...oneByOne(2),
  ...oneByOne(4),
};
