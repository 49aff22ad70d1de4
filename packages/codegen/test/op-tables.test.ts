/** A new operation is answered for by every target, or nothing compiles: the tables of the targets are total. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { complaints, workspacePath, workspaceProgram } from './support/program.ts';

it('does not compile with an operation that a target has no answer for', () => {
  const source = 'packages/codegen/src/';
  const project = workspaceProgram();
  project.addSourceFilesAtPaths(workspacePath(`${source}**/*.ts`));
  const concerns = (path: string): boolean => path.includes(source) && !path.includes('/bindings/');
  expect(complaints(project, concerns)).toEqual([]);

  const types = project.getSourceFileOrThrow(workspacePath(`${source}kernel-ir/types.ts`));
  const ops = types.getTypeAliasOrThrow('KernelOp');
  ops.setType(`${ops.getTypeNodeOrThrow().getText()} | 'cosine'`);
  const silent = complaints(project, concerns).filter((line) => /TS2741.*'cosine' is missing/.test(line));
  const folders = readdirSync(fileURLToPath(new URL('../src/targets/', import.meta.url)));
  expect(folders.length).toBeGreaterThan(0);
  for (const folder of folders) expect(silent.join('\n')).toContain(`${source}targets/${folder}/`);
  // And the verifier, which knows the operands of each.
  expect(silent.join('\n')).toContain(`${source}kernel-ir/verify.ts`);
});
