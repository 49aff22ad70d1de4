/** Reading the declarations of a module: which bindings a kernel writes, and how much workgroup memory it takes. */
import { describe, expect, it } from 'vitest';
import { bytesOfType, interfacesOf } from '../src/interface.ts';
import { artefact, binding, launch } from './support/kernels.ts';

it.each([
  ['f32', 4],
  ['array<f32, 128>', 512],
  ['array<vec4<f32>, 16>', 256],
  ['array<vec4f, 16u>', 256],
  ['array<vec3f, 2>', 32],
  ['array<array<f16, 8>, 4>', 64],
  ['atomic<u32>', 4],
  ['array<atomic<i32>, 3>', 12],
  ['Something', 0],
])('%s has %i bytes', (type, bytes) => {
  expect(bytesOfType(type)).toBe(bytes);
});

describe('interfaces', () => {
  const source = `
// @group(0) @binding(0) var<storage, read_write> k0_x: array<f32>;
/* @group(0) @binding(9) var<storage, read> k0_z: array<f32>; */
@group(0) @binding(0) var<storage,read>k0_x:array<f32>;
@group( 0 )
@binding( 1 ) var < storage , read_write > k0_y : array<f32>;
@group(0) @binding(2) var<uniform> k0_sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> k0_few_x: array<f32>;
@group(0) @binding(1) var<storage, read> k0_few_y: array<f32>;
@group(0) @binding(2) var<uniform> k0_few_sizes: Sizes;
var<workgroup> tile: array<f32, 8>;
var<workgroup> other: array<f32, 16>;
var<workgroup> unused: array<f32, 32>;
fn fold() -> f32 { return tile[0]; }
@compute @workgroup_size(64) fn k0() { let a = k0_x[0] + fold(); k0_y[0] = a + other[0]; }
@compute @workgroup_size(64) fn k0_few() { k0_few_x[0] = k0_few_y[0] + fold(); }
`;
  const parts = {
    name: 'two',
    bindings: [binding('x', 'input', ['T']), binding('y', 'output', ['T'])],
    launches: [launch('k0', 1, ['x', 'y']), launch('k0_few', 1, ['x', 'y'])],
  };

  it('are found for each kernel, comments and names that begin alike notwithstanding', () => {
    expect(interfacesOf(artefact(source, parts))).toEqual(
      new Map([
        ['k0', { bindings: ['read', 'read_write', 'uniform'], workgroupBytes: 96 }],
        ['k0_few', { bindings: ['read_write', 'read', 'uniform'], workgroupBytes: 32 }],
      ]),
    );
  });

  it('are those of who uses them, where a tensor of one kernel is called as another kernel with its tensor', () => {
    const confused = `
@group(0) @binding(0) var<storage, read> k0_few_x: array<f32>;
@group(0) @binding(1) var<storage, read_write> k0_few_y: array<f32>;
@group(0) @binding(2) var<uniform> k0_few_sizes: Sizes;
@group(0) @binding(0) var<storage, read> k0_x: array<f32>;
@group(0) @binding(1) var<storage, read> k0_few_w: array<f32>;
@group(0) @binding(2) var<storage, read_write> k0_few_y_: array<f32>;
@group(0) @binding(3) var<uniform> k0_sizes: Sizes;
@compute @workgroup_size(64) fn k0_few() { if (k0_few_sizes.T > 0) { k0_few_y[0] = k0_few_x[0]; } }
@compute @workgroup_size(64) fn k0() { if (k0_sizes.T > 0) { k0_few_y_[0] = k0_few_w[0] + k0_x[0]; } }
`;
    const launches = [launch('k0_few', 1, ['x', 'y']), launch('k0', 1, ['x', 'few_w', 'few_y'])];
    expect(interfacesOf(artefact(confused, { ...parts, launches }))).toEqual(
      new Map([
        ['k0_few', { bindings: ['read', 'read_write', 'uniform'], workgroupBytes: 0 }],
        ['k0', { bindings: ['read', 'read', 'read_write', 'uniform'], workgroupBytes: 0 }],
      ]),
    );
  });

  it.each([
    [{ scratch: 16 }, 'k0 declares uniform at binding 2, where the manifest has (scratch)'],
    [{ bindings: ['x'] }, 'k0 declares read_write at binding 1, where the manifest has (sizes)'],
    [{ kernel: 'k1' }, 'k1 declares nothing at binding 0, where the manifest has x'],
  ])('that differ from the manifest are refused: %o', (change, message) => {
    const launches = [{ ...launch('k0', 1, ['x', 'y']), ...change }];
    expect(() => interfacesOf(artefact(source, { ...parts, launches }))).toThrow(message);
  });
});
