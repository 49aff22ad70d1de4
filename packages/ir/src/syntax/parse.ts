/**
 * Text to syntax tree. Everything that is wrong with a text comes out as diagnostics; several at once where they are
 * independent (foreign characters, malformed numbers), one for the place where the grammar gives up.
 */
import { type Grammar, grammar, type Semantics } from 'ohm-js';
import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { Source, Span } from '../layer-ir.ts';
import { addActions, type BuildContext, readItems } from './actions.ts';
import type { Module } from './ast.ts';
import { deepestExpression, tooDeep } from './depth.ts';
import { grammarText } from './grammar.ts';
import { scan } from './scan.ts';
import { syntaxProblem } from './syntax-problem.ts';

interface Parser {
  readonly grammar: Grammar;
  readonly semantics: Semantics;
  readonly context: { current: BuildContext };
}

let parser: Parser | null = null;

/** The grammar is compiled on first use: importing the package costs nothing. */
function loadParser(): Parser {
  if (parser !== null) return parser;
  const compiled = grammar(grammarText);
  const context = { current: { source: '', problems: [] } };
  parser = { grammar: compiled, semantics: addActions(compiled.createSemantics(), context), context };
  return parser;
}

/**
 * Reads a file of functions and layers.
 *
 * @param name what diagnostics call the text, e.g. its file name
 * @throws DiagnosticError for a text that is not in the language
 */
export function parseModule(text: string, name = 'layer'): Module {
  const source: Source = { name, text };
  const { text: code, problems } = scan(source);
  if (problems.length > 0) throw new DiagnosticError(problems, [source]);
  const { grammar: compiled, semantics, context } = loadParser();
  const everywhere: Span = { source: name, start: 0, end: Math.min(1, text.length) };
  const built: Diagnostic[] = [];
  let items: Module['items'] = [];
  try {
    const match = compiled.match(code);
    if (match.failed()) throw new DiagnosticError([syntaxProblem(match, source, code)], [source]);
    context.current = { source: name, problems: built };
    items = readItems(semantics(match));
  } catch (error) {
    // The parser and the tree walk recurse; the stack that nesting without brackets (`- - - …`) takes is not ours to know.
    if (!(error instanceof RangeError)) throw error;
    const help = 'give parts names: a function, or a definition of their own';
    throw new DiagnosticError(
      [diagnostic('E004', everywhere, 'the text nests too deeply to be read', { help })],
      [source],
    );
  }
  const deep = tooDeep(items);
  if (deep !== null) {
    const help = 'give parts names: a function, or a definition of their own';
    built.push(
      diagnostic('E004', deep, `an expression nests more than ${deepestExpression} levels deep here`, { help }),
    );
  }
  if (built.length > 0) throw new DiagnosticError(built, [source]);
  return { source, items };
}
