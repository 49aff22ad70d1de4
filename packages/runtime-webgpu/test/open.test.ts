/** Opening without a GPU: what is said where there is no WebGPU, no package, no adapter; the null backend, which needs none of them. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openWebGpu } from '../src/index.ts';
import { openDawn } from '../src/node.ts';
import { missing } from './support/device.ts';
import { failure } from './support/failure.ts';
import { chainArtefact } from './support/kernels.ts';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.doUnmock('webgpu');
});

it('finds an adapter where one is required', () => {
  expect(process.env['ESPALIER_REQUIRE_WEBGPU'] ? missing : '').toBe('');
});

describe('opening says what is missing', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'WebGPU, in Node',
      {},
      /^R026: there is no navigator.gpu; in Node use openDawn of @espalier\/runtime-webgpu\/node/,
    ],
    ['a secure page', { isSecureContext: false }, /^R026: browsers offer WebGPU to secure pages only/],
    ['a browser with WebGPU', { isSecureContext: true }, /^R026: this browser has no WebGPU/],
  ])('%s', async (_, globals, message) => {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    expect((await failure(openWebGpu())).message).toMatch(message);
  });

  it('an adapter', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    expect((await failure(openWebGpu({ gpu }))).message).toMatch(/^R026: WebGPU is here, but no adapter; update/);
  });

  it('a device', async () => {
    const adapter = {
      features: new Set(),
      limits: {},
      requestDevice: () => Promise.reject(new Error('all are taken')),
    };
    const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
    expect((await failure(openWebGpu({ gpu }))).message).toMatch(/^R026: the adapter gives no device: all are taken/);
  });

  it('the package', async () => {
    vi.doMock('webgpu', () => {
      throw new Error('not found');
    });
    expect((await failure(openDawn())).message).toMatch(
      /^R026: the package webgpu, .* does not load .*; install it: npm install webgpu$/,
    );
  });
});

describe('the null backend', () => {
  it('compiles and checks with every feature, and runs nothing', async () => {
    await using device = await openDawn({ backend: 'null' });
    expect(device.info.capabilities).toMatchObject({ subgroups: true, f16: true, 'timestamp-query': true });
    using program = await device.load(chainArtefact());
    expect(program.manifest.name).toBe('chain');
    expect(device.counters).toMatchObject({ modules: 1, pipelines: 3 });
  });
});
