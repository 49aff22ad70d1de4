/** The first difference of a run: which it is, where it is computed, and the smallest thing that still shows it. */
import { join } from 'node:path';
import type { Case } from '../cases/case.ts';
import type { Check, Comparison } from '../compare/verdict.ts';
import { fileSafe, writeOrRefuse } from '../outputs.ts';
import type { ExactRun } from '../references/run.ts';
import type { FirstDifference, Shrunk } from '../reports/data.ts';
import { firstSentence } from '../reports/sentences.ts';
import type { TargetSession } from '../targets/session.ts';
import { writeRepro } from './file.ts';
import { departureText, reproOf, shrink } from './shrink.ts';

/** The earliest difference over all references; of equally early ones, that of the first reference. */
export function firstOf(one: Case, comparisons: readonly Comparison[]): FirstDifference | null {
  const { nodes } = one.subject.graph;
  const place = (check: Check): number => nodes.findIndex((node) => node.id === check.node);
  let first: { readonly reference: string; readonly check: Check } | null = null;
  for (const { reference, first: check } of comparisons)
    if (check !== null && (first === null || place(check) < place(first.check))) first = { reference, check };
  if (first === null) return null;
  const node = nodes[place(first.check)];
  const span = node?.layer.statements[0]?.span;
  const source = node?.layer.sources.find((candidate) => candidate.name === span?.source);
  return {
    ...first,
    node: first.check.node,
    layer: node?.layer.name ?? '',
    text: source?.text ?? '',
    message: firstSentence(first.check, first.reference),
    shrunk: null,
  };
}

/** Shrinks a difference; writes a repro into `folder` where there is one. Never rejects: what goes wrong is the message. */
export async function shrunkOf(
  one: Case,
  first: FirstDifference,
  exact: ExactRun,
  session: TargetSession,
  checkpoint: string,
  folder: string | undefined,
): Promise<Shrunk> {
  try {
    const row = first.check.kind === 'route' ? (first.check.differences.find((d) => !d.within)?.row ?? null) : null;
    const shrunk = await shrink(one, first.node, row, exact, session.runGraph.bind(session));
    if (shrunk === null)
      return {
        node: null,
        file: null,
        message: 'no node departs alone on exact inputs: the difference builds up over several nodes',
      };
    const spec = session.target.spec;
    const dims = Object.entries(shrunk.alone.dims).map(([name, value]) => `${name} = ${value}`);
    const message = `${shrunk.node.id} alone, ${dims.join(', ')}: ${departureText(shrunk.departure)}`;
    if (folder === undefined) return { node: shrunk.node.id, file: null, message };
    const name = fileSafe(`${checkpoint}-${one.id}-${shrunk.node.id}-${spec}`);
    const file = join(folder, `${name}.espalier-repro`);
    await writeOrRefuse(file, writeRepro(reproOf(shrunk, one, checkpoint, spec)));
    return { node: shrunk.node.id, file, message };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { node: null, file: null, message: `shrinking failed: ${text}` };
  }
}
