/**
 * WebGPU on the machine's Vulkan driver, through Dawn: conformance with and without subgroups, and with f16 where there is any; the
 * validator; and forwards beside onnxruntime-web. Its first check is the adapter; where there is none, the stage is skipped.
 */
import { families } from '@espalier/app-validate';
import { wgsl } from '@espalier/codegen';
import { checkLayer, randomTensors, standardCases } from '@espalier/conformance';
import { standardLayer } from '@espalier/ir';
import { compilerCapabilities, openWebGpu, type WebGpuDevice } from '@espalier/runtime-webgpu';
import type { Figures } from '../report.ts';
import { runSuite } from '../suite.ts';
import { type Dawn, dawnWith, F16_ON_NVIDIA, openDawnHere } from '../webgpu/dawn.ts';
import { timeForwards } from '../webgpu/forwards.ts';
import { checkpointsOf, nameOfCheckpoint, validateOn } from './models.ts';
import { attempt, type Stage, type StageContext } from './stage.ts';

/** The check that says whether there is anything to certify. */
export const ADAPTER = 'adapter';

/** WGSL's division is good to 2.5 units in the last place, its square root to less than that; a CPU's are exact. */
const SLACK = 4;

/** What is known of an adapter; as figures, since reports are of those. */
async function describe({ gpu }: Dawn): Promise<Figures> {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn is here, but Vulkan shows no adapter');
  const { vendor, architecture, device, description } = adapter.info;
  const drivers = process.env['VK_DRIVER_FILES'] ?? '';
  if (drivers === '' && /swiftshader|llvmpipe/i.test(`${device} ${description}`))
    throw new Error(
      `there is only a software adapter, ${description}; --vulkan-icd names a driver that is to be taken all the same`,
    );
  return {
    ...{ vendor, architecture, device, description },
    features: [...adapter.features].sort().join(' '),
    workgroupBytes: adapter.limits.maxComputeWorkgroupStorageSize,
    workgroupThreads: adapter.limits.maxComputeInvocationsPerWorkgroup,
    storageBuffers: adapter.limits.maxStorageBuffersPerShaderStage,
    bindingBytes: adapter.limits.maxStorageBufferBindingSize,
    // Folders say something of one machine only.
    drivers: drivers.replace(/[^:]*\//g, ''),
  };
}

/** Every standard layer with its weights kept as f16, with code that computes in f16's own type and with code that does not. */
async function checkHalfOn(context: StageContext, device: WebGpuDevice, feature: string): Promise<void> {
  const how = feature === '' ? '' : ` (Dawn: ${feature})`;
  // One size a layer: the sizes are tried where weights are f32.
  const cases = [...new Map([...standardCases()].reverse().map((c) => [c.layer, c])).values()];
  for (const c of context.quick ? cases.slice(0, 1) : cases) {
    const check = async () => {
      const weights = standardLayer(c.layer, { dims: c.dims }).tensors.filter(
        ({ role, storage }) => role === 'weight' && storage === 'f32',
      );
      const storage = Object.fromEntries(weights.map(({ name }) => [name, 'f16' as const]));
      const layer = standardLayer(c.layer, { dims: c.dims, storage });
      const run = c.runs[0] ?? {};
      const tensors = randomTensors(layer, run, 7, c.integers(run));
      for (const f16 of [true, false])
        await checkLayer(device, { target: wgsl, capabilities: { f16 }, slack: SLACK }, layer, run, tensors);
      return undefined;
    };
    const name = `f16 weights${how}: ${c.layer} ${JSON.stringify(c.dims)}`;
    // What Dawn withholds unless it is told may be withheld for a reason; then its failures are told, and fail nothing.
    await attempt(context, name, check, undefined, feature === '' ? 'failed' : 'skipped');
  }
}

/** A device with f16, if need be by telling Dawn to offer it, and what it took. */
async function openWithHalf(
  gpu: GPU,
): Promise<{ readonly device: WebGpuDevice; readonly how: string } | { readonly reason: string }> {
  for (const how of ['', F16_ON_NVIDIA]) {
    const device = await openWebGpu({ gpu: how === '' ? gpu : await dawnWith(how) });
    if (compilerCapabilities(device).f16) return { device, how };
    await device[Symbol.asyncDispose]();
  }
  return { reason: `the adapter has no shader-f16, not with ${F16_ON_NVIDIA} either` };
}

async function checkHalf(context: StageContext, gpu: GPU): Promise<void> {
  const half = await openWithHalf(gpu);
  if ('reason' in half) {
    context.report({ name: 'f16 weights', outcome: 'skipped', detail: half.reason });
    return;
  }
  try {
    await checkHalfOn(context, half.device, half.how);
  } finally {
    await half.device[Symbol.asyncDispose]();
  }
}

async function checkConformance(context: StageContext, { gpu }: Dawn): Promise<void> {
  const probe = await openWebGpu({ gpu });
  const { subgroups } = compilerCapabilities(probe);
  await probe[Symbol.asyncDispose]();
  const open = () => openWebGpu({ gpu });
  await runSuite(context, { name: 'webgpu', target: wgsl, open, slack: SLACK }, 'plain: ');
  if (subgroups) {
    const capabilities = { subgroups: true };
    await runSuite(context, { name: 'webgpu', target: wgsl, open, capabilities, slack: SLACK }, 'subgroups: ');
  } else context.report({ name: 'subgroups', outcome: 'skipped', detail: 'the adapter has no subgroups' });
}

/** See the head of this file. */
export const webgpu: Stage = async (context) => {
  let dawn: Dawn;
  try {
    context.say('looking for an adapter');
    dawn = await openDawnHere();
    context.report({ name: ADAPTER, outcome: 'passed', figures: await describe(dawn) });
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    context.report({ name: ADAPTER, outcome: 'skipped', detail });
    return;
  }
  // Timings first: what was compiled for thousands of small kernels is no burden then.
  await timeForwards(context, dawn);
  await checkConformance(context, dawn);
  const all = checkpointsOf(context.root);
  for (const checkpoint of context.quick ? all.slice(-1) : all)
    for (const target of ['webgpu', 'webgpu:plain'])
      await attempt(context, `${target}: ${nameOfCheckpoint(checkpoint)}`, () =>
        validateOn(
          checkpoint,
          target,
          families.filter(({ name }) => name === 'webgpu'),
          !context.quick,
        ),
      );
  // Last, since it may ask a driver for what it is not trusted with.
  await checkHalf(context, dawn.gpu);
};
