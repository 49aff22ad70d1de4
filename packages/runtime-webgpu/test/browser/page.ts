/** What the browser test runs in a page: compiled layers on the page's own GPU, and a device that is lost on the way. */
import { type Artefact, evaluateSize, type WeightData } from '@espalier/artefact';
import { type InputTensor, loadLayer } from '@espalier/runtime';
import { countersBetween, openWebGpu, type WebGpuCounters, withRecovery } from '@espalier/runtime-webgpu';

/** A layer to run, as plain data. */
export interface PageCase {
  readonly artefact: Artefact;
  readonly dims: Readonly<Record<string, number>>;
  /** Inputs and weights, by name. */
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  /** Destroy the device behind the runtime's back before the second run. */
  readonly lose?: boolean;
}

/** What a page gives back. */
export interface PageResult {
  readonly name: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** Of both runs. */
  readonly outputs: readonly Readonly<Record<string, readonly number[]>>[];
  /** What the second run took. */
  readonly counters?: WebGpuCounters;
  readonly recoveries: number;
  readonly error?: string;
}

async function run({ artefact, dims, tensors, lose }: PageCase): Promise<PageResult> {
  const pick = (role: string): Record<string, InputTensor> =>
    Object.fromEntries(
      artefact.manifest.bindings
        .filter((binding) => binding.role === role)
        .map(({ name, storage, shape }) => {
          const values = tensors[name] ?? [];
          const data: WeightData = storage === 'i32' ? Int32Array.from(values) : Float32Array.from(values);
          return [name, { data, shape: shape.map((size) => evaluateSize(size, dims)) }];
        }),
    );
  const recovering = await withRecovery(
    () => openWebGpu(),
    (device) => loadLayer(device, artefact, pick('weight')),
  );
  const { name, capabilities } = recovering.device.info;
  const outputs: Record<string, readonly number[]>[] = [];
  let counters: WebGpuCounters | undefined;
  let error: string | undefined;
  try {
    for (let i = 0; i < 2; i++) {
      if (lose === true && i === 1) recovering.device.gpuDevice.destroy();
      const before = recovering.device.counters;
      const results = await recovering.use((layer) => layer.run(pick('input'), { dims }));
      if (lose !== true) counters = countersBetween(before, recovering.device.counters);
      outputs.push(Object.fromEntries(Object.entries(results).map(([key, { data }]) => [key, [...data]])));
    }
  } catch (thrown) {
    error = String(thrown);
  }
  const { recoveries } = recovering;
  recovering.dispose();
  await recovering.device.closed;
  return {
    name,
    capabilities,
    outputs,
    recoveries,
    ...(counters === undefined ? {} : { counters }),
    ...(error === undefined ? {} : { error }),
  };
}

Object.assign(globalThis, { runInPage: run });
