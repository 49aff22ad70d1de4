/**
 * Every standard layer's WGSL, as Dawn's compiler sees it: the null backend has no driver, but parses, validates (uniformity
 * included) and makes pipelines with every feature there is. No message of any kind is allowed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Artefact } from '@espalier/artefact';
import { compile, wgsl } from '@espalier/codegen';
import { type LayerArgs, type LayerIR, type StorageType, standardLayer, standardLayerNames } from '@espalier/ir';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, globals } from 'webgpu';
import { VALUES } from '../../codegen/test/support/all-layers.ts';
import { interfacesOf } from '../src/interface.ts';

Object.assign(globalThis, globals);
// Collected, it would take live devices with it.
const gpu = create(['backend=null']);
(globalThis as { nullBackend?: unknown }).nullBackend = gpu;

const bufferTypes = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const;

let device: GPUDevice;
beforeAll(async () => {
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error('the null backend has no adapter');
  // Limits stay those that WebGPU promises everywhere.
  device = await adapter.requestDevice({ requiredFeatures: ['shader-f16', 'subgroups'] });
});
afterAll(() => device.destroy());

/** All that Dawn has to say about the code of an artefact. */
async function complaints({ source, manifest }: Artefact, code = source): Promise<readonly string[]> {
  const interfaces = interfacesOf({ source, manifest });
  const found: string[] = [];
  device.pushErrorScope('validation');
  device.pushErrorScope('internal');
  const module = device.createShaderModule({ code });
  for (const { lineNum, message, type } of (await module.getCompilationInfo()).messages)
    found.push(`${type}: ${message}\n  ${code.split('\n')[lineNum - 1] ?? ''}`);
  if (found.length === 0) {
    for (const [entryPoint, { bindings }] of interfaces) {
      const layout = device.createBindGroupLayout({
        entries: bindings.map((kind, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: bufferTypes[kind] },
        })),
      });
      const pipeline = { layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }) };
      await device
        .createComputePipelineAsync({ ...pipeline, compute: { module, entryPoint } })
        .catch((error: unknown) => found.push(String(error)));
    }
  }
  for (const error of [await device.popErrorScope(), await device.popErrorScope()])
    if (error !== null && found.length === 0) found.push(error.message);
  return found;
}

/** The layer with its f32 weights kept as f16. */
function halved(name: string, args: LayerArgs): LayerIR {
  const weights = standardLayer(name, args).tensors.filter((t) => t.role === 'weight' && t.storage === 'f32');
  const storage = Object.fromEntries(weights.map((t): [string, StorageType] => [t.name, 'f16']));
  return standardLayer(name, { ...args, storage });
}

/** As small and odd as can be, and of sizes that vectors fit in. */
const multiples = (args: LayerArgs): LayerArgs => ({
  ...args,
  dims: Object.fromEntries(
    Object.entries(args.dims ?? {}).map(([d, size]) => [d, ['heads', 'trees', 'depth'].includes(d) ? size : 4 * size]),
  ),
});

const machines = [{}, { subgroups: true }, { f16: true }, { subgroups: true, f16: true }];

describe.each(standardLayerNames)('%s', (name) => {
  const args = VALUES[name] ?? {};
  const layers = [standardLayer(name, args), halved(name, args), standardLayer(name, multiples(args))];
  it.each(['best', 'generic'] as const)('is valid in every form (%s)', async (strategy) => {
    for (const capabilities of machines) {
      for (const layer of layers) {
        const artefact = await compile(layer, { target: wgsl, capabilities, strategy, verify: 'each' });
        expect(await complaints(artefact), `${JSON.stringify(capabilities)}\n${artefact.source}`).toEqual([]);
      }
    }
  });
});

it('takes walks that are sorted on their way, through a tree that is large enough', async () => {
  const args = { dims: { D: 1024, O: 1024, trees: 1, depth: 12 } };
  for (const capabilities of machines)
    for (const layer of [standardLayer('fff', args), halved('fff', { dims: { ...args.dims, depth: 13 } })]) {
      const artefact = await compile(layer, { target: wgsl, capabilities, verify: 'each' });
      expect(artefact.source).toContain('fn k0_many_order(');
      expect(await complaints(artefact), `${JSON.stringify(capabilities)}\n${artefact.source}`).toEqual([]);
    }
});

/** Texts that the compiler's own tests compare: kernels written by hand for folds are among them. */
const goldens = readdirSync(new URL('../../codegen/test/golden/', import.meta.url)).filter((f) => f.endsWith('.wgsl'));

it.each(goldens)('%s is valid', async (file) => {
  const code = readFileSync(new URL(`../../codegen/test/golden/${file}`, import.meta.url), 'utf8');
  const module = device.createShaderModule({ code });
  expect((await module.getCompilationInfo()).messages.map((m) => m.message)).toEqual([]);
  const entryPoints = [...code.matchAll(/@compute[\s\S]*?\bfn (\w+)/g)].map(([, entry]) => entry as string);
  expect(entryPoints.length).toBeGreaterThan(0);
  for (const entryPoint of entryPoints)
    await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } });
});

describe('the check itself', () => {
  const bad: Readonly<Record<string, (source: string) => string>> = {
    'a type that is not there': (s) => s.replace('array<f32>', 'array<f33>'),
    'an infinite constant': (s) => s.replace(/var sum = 0f;/, 'var sum = 1e38f * 1e38f;'),
    'a store to what is read': (s) => s.replace(/^fn k0\([\s\S]*?\) \{$/m, (head) => `${head}\n  k0_x[0] = 1f;`),
    'a barrier that some threads miss': (s) =>
      s.replace(/^fn k0\([\s\S]*?\) \{$/m, (head) => `${head}\n  if (k0_y[0] > 0f) { workgroupBarrier(); }`),
    'another binding than the layout has': (s) => s.replace('var<storage, read> k0_x', 'var<storage, read_write> k0_x'),
    'a number of threads beyond the limit': (s) => s.replace(/@workgroup_size\(\d+\)/, '@workgroup_size(257)'),
    'a missing entry point': (s) => s.replaceAll('fn k0(', 'fn k9('),
  };
  it.each(Object.entries(bad))('finds %s', async (_, spoil) => {
    const artefact = await compile(standardLayer('linear', VALUES['linear'] ?? {}), { target: wgsl });
    expect(await complaints(artefact)).toEqual([]);
    const spoilt = spoil(artefact.source);
    expect(spoilt).not.toBe(artefact.source);
    expect(await complaints(artefact, spoilt)).not.toEqual([]);
  });
});
