/** Reading workgroup memory off WGSL: all forms in which shaders state a size, and a refusal for what is not understood. */
import { describe, expect, it } from 'vitest';
import { workgroupBytes } from '../src/workgroup-bytes.ts';

const using = (declarations: string, body: string): string =>
  `${declarations}\n@compute @workgroup_size(64) fn main() { ${body} }`;

describe('workgroupBytes', () => {
  it.each([
    ['a scalar', 'var<workgroup> a: f32;', 4],
    ['an atomic', 'var<workgroup> a: atomic<u32>;', 4],
    ['vectors, of which three lanes take the room of four', 'var<workgroup> a: array<vec3<f32>, 5>;', 80],
    ['short names', 'var<workgroup> a: array<vec4h, 3u>;', 24],
    ['a matrix', 'var<workgroup> a: mat2x3<f32>;', 32],
    ['arrays of arrays, angles together', 'var<workgroup> a: array<array<vec4<f32>, 8>, 32>;', 4096],
    ['spaces and a comma at the end', 'var < workgroup > a : array < i32 , 7 , > ;', 28],
    ['constants', 'const n = 4u * (tile + 1) / 2 - 3; const tile: u32 = 0x10u;\nvar<workgroup> a: array<f32, n>;', 124],
    ['conversions and the larger of two', 'const n = max(u32(3), 5u);\nvar<workgroup> a: array<f32, n % 3>;', 8],
    ['aliases', 'alias T = vec2<f32>; alias Tile = array<T, 6>;\nvar<workgroup> a: Tile;', 48],
    ['structures', 'struct S { @location(0) a: f32, b: vec3<f32>, c: f16 };\nvar<workgroup> a: array<S, 2>;', 64],
    ['comments', '// var<workgroup> b: f32;\n/* a */ var<workgroup> a: /* of */ f32; // here', 4],
    ['initialisers of other variables', 'var<private> a: array<f32, 9> = array<f32, 9>();', 0],
  ])('reads %s', (_, declarations, bytes) => {
    expect(workgroupBytes(using(declarations, 'let x = a;'))).toBe(bytes);
  });

  it('counts what an entry point reaches, by way of functions too, and nothing that is declared between functions', () => {
    const source = `
      var<workgroup> shared_by_both: array<f32, 2>;
      fn helper() -> f32 { return shared_by_both[0]; }
      @compute @workgroup_size(1) fn first() { let x = helper(); }
      var<workgroup> second_only: array<f32, 100>;
      @compute @workgroup_size(1) fn second() { second_only[0] = helper(); }
      @compute @workgroup_size(1) fn third() {}`;
    expect(['first', 'second', 'third'].map((name) => workgroupBytes(source, name))).toEqual([8, 408, 0]);
    expect(workgroupBytes(source)).toBe(408);
  });

  it('takes the values that a pipeline sets, before defaults', () => {
    const source = using('override n: u32 = 4; override m: u32;\nvar<workgroup> a: array<f32, n * m>;', 'let x = a;');
    expect(workgroupBytes(source, 'main', { m: 2 })).toBe(32);
    expect(workgroupBytes(source, 'main', { m: 2, n: 3 })).toBe(24);
    expect(() => workgroupBytes(source, 'main')).toThrow('not understood');
  });

  it.each([
    'var<workgroup> a: array<f32, 1 << 4>;',
    'var<workgroup> a: array<f32, unknown>;',
    'var<workgroup> a: mystery;',
    'struct S { @size(32) a: f32 }; var<workgroup> a: S;',
  ])('refuses %s', (declarations) => {
    expect(() => workgroupBytes(using(declarations, 'let x = a;'))).toThrow('not understood');
  });
});
