/** The conformance suite, run without a test runner: every standard and odd layer, both strategies, and the faults. */
import { join } from 'node:path';
import type { Artefact } from '@espalier/artefact';
import { compile, cuda } from '@espalier/codegen';
import { faultCases, oddLayers, runConformance, standardCases } from '@espalier/conformance';
import { type LayerIR, layerFromText, standardLayer, traceLayer } from '@espalier/ir';
import { openCuda } from '@espalier/runtime-cuda';
import { type KernelTally, withKernels } from '../kernels.ts';
import { attempt, type Stage } from './stage.ts';

interface Test {
  readonly name: string;
  readonly body: () => Promise<void>;
}

/** Runs the suite; each of its tests is a check. */
export const conformance: Stage = async (context) => {
  const tally: KernelTally = { shipped: 0, compiled: 0 };
  const tests: Test[] = [];
  const before: (() => Promise<void>)[] = [];
  const after: (() => Promise<void>)[] = [];
  const path: string[] = [];
  runConformance(
    {
      describe: (name, body) => {
        path.push(name);
        body();
        path.pop();
      },
      it: (name, body) => tests.push({ name: [...path.slice(1), name].join(': '), body }),
      beforeAll: (body) => before.push(body),
      afterAll: (body) => after.push(body),
    },
    {
      name: 'cuda',
      target: cuda,
      open: async () => withKernels(await openCuda(context.device), join(context.root, 'kernels'), tally),
    },
  );
  const chosen = context.quick ? tests.filter((_, i) => i % 40 === 0) : tests;
  for (const body of before) await body();
  try {
    for (const test of chosen) await attempt(context, test.name, () => test.body().then(() => undefined));
    context.report({ name: 'kernels', outcome: 'passed', figures: { ...tally } });
  } finally {
    for (const body of after) await body();
  }
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
