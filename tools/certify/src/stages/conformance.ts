/** The conformance suite, run without a test runner: every standard and odd layer, both strategies, and the faults. */
import { join } from 'node:path';
import type { Artefact } from '@espalier/artefact';
import { compile, cuda } from '@espalier/codegen';
import { faultCases, oddLayers, standardCases } from '@espalier/conformance';
import { type LayerIR, layerFromText, standardLayer, traceLayer } from '@espalier/ir';
import { openCuda } from '@espalier/runtime-cuda';
import { type KernelTally, withKernels } from '../kernels.ts';
import { runSuite } from '../suite.ts';
import type { Stage } from './stage.ts';

/** Runs the suite; each of its tests is a check. */
export const conformance: Stage = async (context) => {
  const tally: KernelTally = { shipped: 0, compiled: 0 };
  const open = async () => withKernels(await openCuda(context.device), join(context.root, 'kernels'), tally);
  await runSuite(context, { name: 'cuda', target: cuda, open });
  context.report({ name: 'kernels', outcome: 'passed', figures: { ...tally } });
};

/** Every artefact that the suite loads, for compiling beforehand. */
export async function* conformanceArtefacts(): AsyncGenerator<Artefact> {
  const layers: LayerIR[] = standardCases().map((c) => traceLayer(standardLayer(c.layer, { dims: c.dims })));
  for (const { name, text, dims } of oddLayers)
    layers.push(traceLayer(layerFromText(text, { name: `${name}.layer`, ...(dims ? { dims } : {}) })));
  for (const { layer } of faultCases()) layers.push(layer);
  for (const layer of layers)
    for (const strategy of ['generic', 'best'] as const) yield await compile(layer, { target: cuda, strategy });
}
