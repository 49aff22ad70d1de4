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
import { type Dawn, openDawnHere } from '../webgpu/dawn.ts';
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
async function checkHalf(context: StageContext, device: WebGpuDevice): Promise<void> {
  // One size a layer: the sizes are tried where weights are f32.
  const cases = [...new Map([...standardCases()].reverse().map((c) => [c.layer, c])).values()];
  for (const c of context.quick ? cases.slice(0, 1) : cases)
    await attempt(context, `f16 weights: ${c.layer} ${JSON.stringify(c.dims)}`, async () => {
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
    });
}

async function checkConformance(context: StageContext, { gpu }: Dawn): Promise<void> {
  const device = await openWebGpu({ gpu });
  const { subgroups, f16 } = compilerCapabilities(device);
  try {
    if (f16) await checkHalf(context, device);
    else context.report({ name: 'f16 weights', outcome: 'skipped', detail: 'the adapter has no shader-f16' });
  } finally {
    await device[Symbol.asyncDispose]();
  }
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
};
