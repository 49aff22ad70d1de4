/** The compiler's part of an open target. */
import { type Capabilities, compileGraph, type Target } from '@espalier/codegen';
import { RuntimeError } from '@espalier/runtime';
import type { OpenTarget } from './family.ts';

/** Compiles for `target` with these capabilities; `key` tells its artefacts from those of others, the target's name unless told. */
export const compilerFor = (
  target: Target,
  capabilities: Capabilities,
  key: string = target.name,
): Pick<OpenTarget, 'capabilities' | 'compileKey' | 'compile'> => ({
  capabilities,
  compileKey: `${key} ${JSON.stringify(capabilities)}`,
  compile: (graph) => compileGraph(graph, { target, capabilities }),
});

/** The error for a spec of a family that has no such options. */
export const unknownSpec = (spec: string, known: readonly string[]): RuntimeError =>
  new RuntimeError('R023', `unknown target "${spec}"; write ${known.join(' or ')}`);
