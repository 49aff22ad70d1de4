/** Timings by device events: nothing is timed whose output was not compared first, on memory that began as NaN. */
import { join } from 'node:path';
import type { Artefact } from '@espalier/artefact';
import { type CudaDevice, openCuda } from '@espalier/runtime-cuda';
import { openCublasLt } from '../bench/cublas.ts';
import { InputPool } from '../bench/data.ts';
import { encoderArtefacts, timeEncoder } from '../bench/encoders.ts';
import { artefactsOf, type BenchTools, timeLayer } from '../bench/layers.ts';
import { modelArtefacts, modelBatches, modelFolders, timeModel } from '../bench/models.ts';
import { timeProducts } from '../bench/products.ts';
import { impatient, patient, Stopwatch } from '../bench/timing.ts';
import { encoders, products, tokenCounts, works } from '../bench/works.ts';
import { withKernels } from '../kernels.ts';
import type { Subject } from '../report.ts';
import { attempt, type Stage, type StageContext } from './stage.ts';

/** "dense 768-3072, f32, 128 tokens", and who did it where it was not us. */
export const nameOf = ({ by, work, precision, tokens }: Subject): string =>
  `${by === 'espalier' ? '' : `${by}: `}${work}, ${precision}, ${tokens} ${tokens === 1 ? 'token' : 'tokens'}`;

async function timeCublas(context: StageContext, tools: BenchTools, device: CudaDevice): Promise<void> {
  const lt = openCublasLt(device);
  if ('reason' in lt) {
    context.report({ name: 'cuBLASLt', outcome: 'skipped', detail: lt.reason });
    return;
  }
  using open = lt;
  for (const work of products) await timeProducts(tools, device, open, work);
}

/** Times layers, whole encoders, the bundled models and cuBLASLt; each is a check with its figures. */
export const bench: Stage = async (context) => {
  using device = await openCuda(context.device);
  using stopwatch = new Stopwatch(device, context.quick ? impatient : patient);
  const tally = { shipped: 0, compiled: 0 };
  const tools: BenchTools = {
    device: withKernels(device, join(context.root, 'kernels'), tally),
    stopwatch,
    inputs: new InputPool(),
    tokens: context.quick ? [1] : tokenCounts,
    attempt: (subject, body) => attempt(context, nameOf(subject), body, subject),
  };
  for (const work of works) await timeLayer(tools, work);
  for (const encoder of encoders)
    await timeEncoder(tools, encoder, context.quick ? { batches: [1], layers: 1, wanted: ['f32'] } : {});
  for (const folder of modelFolders(context.root)) await timeModel(tools, folder, context.quick ? [1] : modelBatches);
  context.report({ name: 'kernels', outcome: 'passed', figures: { ...tally } });
  // Last, since what goes wrong in someone else's library may take the process with it.
  await timeCublas(context, tools, device);
};

/** Every artefact that is timed, for compiling beforehand. */
export async function* benchArtefacts(root: string): AsyncGenerator<Artefact> {
  for (const work of works) yield* artefactsOf(work);
  for (const encoder of encoders) yield* encoderArtefacts(encoder);
  for (const folder of modelFolders(root)) yield* modelArtefacts(folder);
}
