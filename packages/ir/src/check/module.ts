/** Checks of a file as a whole: names of layers and functions, and functions on their own. */
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { Span } from '../layer-ir.ts';
import { type FunctionSyntax, functionsOf, layersOf, type Module, type Name } from '../syntax/ast.ts';
import { attempt, type Context } from './context.ts';
import { type Binding, elaborate } from './expressions.ts';
import { type FunctionTable, primitives } from './functions.ts';
import { settleRanges } from './indices.ts';

function twins(names: readonly Name[], what: string): readonly Diagnostic[] {
  const first = new Map<string, Span>();
  return names.flatMap((name) => {
    const before = first.get(name.text);
    if (before === undefined) {
      first.set(name.text, name.span);
      return [];
    }
    return [
      diagnostic('E105', name.span, `the ${what} \`${name.text}\` is defined twice`, {
        labels: [{ span: before, text: 'first here' }],
        help: 'give one of them another name',
      }),
    ];
  });
}

/** Names that are taken twice, or that belong to a primitive. */
export function checkTopLevel(module: Module): readonly Diagnostic[] {
  const functions = functionsOf(module);
  return [
    ...twins(
      layersOf(module).map((l) => l.name),
      'layer',
    ),
    ...twins(
      functions.map((f) => f.name),
      'function',
    ),
    ...functions.flatMap((f) => twins(f.params, 'parameter')),
    ...functions
      .filter((f) => primitives.has(f.name.text))
      .map((f) =>
        diagnostic('E105', f.name.span, `\`${f.name.text}\` is a primitive of the language`, {
          help: 'choose another name; only functions of the standard library may be redefined',
        }),
      ),
  ];
}

/** Each function on its own, its parameters taken as f32; what only fails for other types is found at its calls. */
export function checkFunctions(module: Module, functions: FunctionTable): readonly Diagnostic[] {
  const problems: Diagnostic[] = [];
  for (const f of functionsOf(module)) {
    problems.push(...checkFunction(f, functions));
    // A function that runs away takes every caller with it, each as slowly.
    if (problems.some((p) => p.code === 'E413')) break;
  }
  return problems;
}

function checkFunction(f: FunctionSyntax, functions: FunctionTable): readonly Diagnostic[] {
  const context: Context = {
    entries: new Map(),
    declared: new Map(),
    problems: [],
    generic: true,
    statementNames: new Set(),
    rangeless: [],
    ended: new Map(),
    calls: [],
    sources: new Set(),
    work: 0,
  };
  const key = `${f.span.source}:${f.span.start}`;
  context.calls.push({ key, function: f.name.text, span: f.name.span });
  attempt(() => {
    const scope = new Map<string, Binding>(
      f.params.map((p) => [p.text, { kind: 'local', name: p.text, type: 'f32', span: p.span }]),
    );
    attempt(() => elaborate({ context, scope, ranges: new Map(), functions, inFunction: true }, f.body));
    settleRanges(context, 0);
  });
  const typeMistakes = new Set(['E401', 'E402', 'E403', 'E404', 'E406', 'E408', 'E409']);
  return context.problems.filter((p) => !typeMistakes.has(p.code));
}
