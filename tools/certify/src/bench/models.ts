/** The bundled models, timed at some batches of one sentence. That their values are right is the models stage's to find. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Artefact } from '@espalier/artefact';
import { compileGraph, cuda } from '@espalier/codegen';
import { feedText, graphOf, loadTokenizer, openCheckpoint } from '@espalier/models';
import { loadGraph } from '@espalier/runtime';
import { checkRepeats } from './encoders.ts';
import { type BenchTools, microseconds, watching } from './layers.ts';

const SENTENCE = 'The president of the united [MASK] spoke to the people.';
export const modelBatches = [1, 8, 64] as const;

/** Runs by the clock. */
const CLOCK_RUNS = 50;

/** The graph of a bundled model as one would deploy it. */
async function modelGraph(folder: string) {
  const checkpoint = await openCheckpoint(folder);
  return { checkpoint, mapped: graphOf(checkpoint, { outputs: 'final', mlmPositions: 'asked' }) };
}

/** Times a model at each batch. */
export async function timeModel(tools: BenchTools, folder: string, batches: readonly number[]): Promise<void> {
  const work = folder.split(/[\\/]/).at(-1) ?? folder;
  const { checkpoint, mapped } = await modelGraph(folder);
  const tokenizer = loadTokenizer(checkpoint);
  const watched = watching(tools.device);
  const compiled = await compileGraph(mapped.graph, { target: cuda });
  using graph = await loadGraph(watched, compiled, mapped.graph.weights, { prepared: 2 });
  for (const batch of batches) {
    const encoded = tokenizer.encode(Array.from({ length: batch }, () => SENTENCE));
    const fed = feedText(mapped, encoded, tokenizer);
    const tokens = encoded.inputIds.length;
    await tools.attempt({ by: 'espalier', work, precision: 'f32', tokens }, async () => {
      await checkRepeats(graph, mapped.graph, fed);
      const timing = await tools.stopwatch.measure(watched.timed);
      const parts = await watched.parts();
      const start = performance.now();
      for (let i = 0; i < CLOCK_RUNS; i++) await graph.run(fed);
      const byClock = (performance.now() - start) / CLOCK_RUNS;
      return { ...timing, microsecondsPerToken: microseconds(timing.backToBack, tokens), byClock, batch, ...parts };
    });
  }
}

/** Folders of the models in a bundle. */
export const modelFolders = (root: string): readonly string[] =>
  readdirSync(join(root, 'models'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, 'models', entry.name));

/** Every artefact that `timeModel` compiles. */
export async function* modelArtefacts(folder: string): AsyncGenerator<Artefact> {
  yield* (await compileGraph((await modelGraph(folder)).mapped.graph, { target: cuda })).artefacts;
}
