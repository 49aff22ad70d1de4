/** Binding of a layer's parameters: dims to numbers or to themselves, options to given or default values. */
import { suggest } from '../diagnostics/index.ts';
import type { Span, StorageType } from '../layer-ir.ts';
import * as Sizes from '../size.ts';
import type { LayerSyntax, OptionSyntax } from '../syntax/ast.ts';
import { attempt, type Context, fail, type OptionValue, report } from './context.ts';
import { type FunctionTable, findFunction, functionNames } from './functions.ts';
import { largestSize } from './size-expr.ts';

/** What a layer is elaborated with. */
export interface LayerArgs {
  /** Dims known at compile time; the others are runtime dims. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Options that differ from their defaults; functions by name. */
  readonly options?: Readonly<Record<string, number | boolean | string>>;
  /** Weights to leave out; each is replaced by its default. */
  readonly without?: readonly string[];
  /** How inputs and weights lie in memory, where not as declared: f16 for f32, i8 for i32. */
  readonly storage?: Readonly<Record<string, StorageType>>;
}

interface BoundDims {
  readonly runtime: readonly string[];
  readonly fixed: Readonly<Record<string, number>>;
}

function duplicate(context: Context, name: string, span: Span): boolean {
  const before = context.entries.get(name);
  if (before === undefined) return false;
  report(context, 'E105', span, `the parameter \`${name}\` stands here twice`, {
    labels: [{ span: before.span, text: 'first here' }],
    help: 'remove one, or give it another name',
  });
  return true;
}

/** Enters the dims. Reports dims that the layer lacks (E202) and values that are no sizes (E205). */
export function bindDims(context: Context, syntax: LayerSyntax, args: LayerArgs): BoundDims {
  const names = syntax.dims.map((d) => d.text);
  for (const [name, value] of Object.entries(args.dims ?? {})) {
    const dim = syntax.dims.find((d) => d.text === name);
    if (dim === undefined) {
      const option = syntax.options.some((o) => o.name.text === name);
      const help = option ? `\`${name}\` is an option: pass it in \`options\`` : suggest(name, names, 'dims');
      report(context, 'E202', syntax.name.span, `\`${syntax.name.text}\` has no dim \`${name}\``, { help });
    } else if (!Number.isInteger(value) || value < 0 || value > largestSize) {
      report(context, 'E205', dim.span, `\`${name}\` cannot be ${value}`, {
        help: `a size is a whole number from 0 to ${largestSize}`,
      });
    }
  }
  const runtime: string[] = [];
  const fixed: Record<string, number> = {};
  for (const { text, span } of syntax.dims) {
    if (duplicate(context, text, span)) continue;
    const value = Object.hasOwn(args.dims ?? {}, text) ? args.dims?.[text] : undefined;
    const known = value !== undefined && Number.isInteger(value) && value >= 0 && value <= largestSize;
    if (known) fixed[text] = value;
    else runtime.push(text);
    context.entries.set(text, {
      kind: 'size',
      size: known ? Sizes.constant(value) : Sizes.dim(text),
      what: 'dim',
      span,
    });
  }
  return { runtime, fixed };
}

/** Enters the options and returns their values for the record. Reports E203 and E204. */
export function bindOptions(
  context: Context,
  syntax: LayerSyntax,
  functions: FunctionTable,
  args: LayerArgs,
): Readonly<Record<string, number | boolean | string>> {
  const names = syntax.options.map((o) => o.name.text);
  for (const name of Object.keys(args.options ?? {})) {
    if (names.includes(name)) continue;
    const dim = syntax.dims.some((d) => d.text === name);
    const help = dim ? `\`${name}\` is a dim: pass it in \`dims\`` : suggest(name, names, 'options');
    report(context, 'E203', syntax.name.span, `\`${syntax.name.text}\` has no option \`${name}\``, { help });
  }
  const record: Record<string, number | boolean | string> = {};
  for (const option of syntax.options) {
    const name = option.name.text;
    if (duplicate(context, name, option.name.span)) continue;
    const given = Object.hasOwn(args.options ?? {}, name) ? args.options?.[name] : undefined;
    const value = attempt(() => optionValue(context, option, functions, given));
    if (value === null) {
      context.entries.set(name, { kind: 'broken', span: option.name.span });
      continue;
    }
    record[name] = value.kind === 'function' ? value.name : value.value;
    context.entries.set(name, { kind: 'option', value, span: option.name.span });
  }
  return record;
}

function optionValue(
  context: Context,
  option: OptionSyntax,
  functions: FunctionTable,
  given: number | boolean | string | undefined,
): OptionValue {
  const { value: written } = option;
  const name = option.name.text;
  const wrong = (wanted: string): never =>
    fail(context, 'E204', option.span, `the option \`${name}\` is ${wanted}, and ${JSON.stringify(given)} is given`, {
      help: `its default is \`${written.kind === 'function' ? written.name : written.value}\``,
    });
  switch (written.kind) {
    case 'bool':
      if (given !== undefined && typeof given !== 'boolean') return wrong('true or false');
      return { kind: 'bool', value: given ?? written.value };
    case 'number': {
      if (given === undefined) return { kind: 'number', value: written.value, type: written.type };
      if (typeof given !== 'number') return wrong('a number');
      if (!Number.isFinite(Math.fround(given))) {
        return fail(context, 'E005', option.span, `the option \`${name}\` is ${given}, which f32 cannot hold`, {
          help: 'give a finite number',
        });
      }
      const whole = Number.isInteger(given) && Math.abs(given) <= largestSize;
      return { kind: 'number', value: given, type: written.type === 'i32' && whole ? 'i32' : 'f32' };
    }
    case 'function': {
      if (given !== undefined && typeof given !== 'string') return wrong('the name of a function');
      const wanted = given ?? written.name;
      const value = findFunction(wanted, functions);
      if (value === null) {
        return fail(
          context,
          'E102',
          given === undefined ? written.span : option.span,
          `no function is called \`${wanted}\``,
          {
            help:
              suggest(wanted, functionNames(functions), 'functions') ?? 'define it in the same file: `fn name(x) = …`',
          },
        );
      }
      return { kind: 'function', name: wanted, value };
    }
  }
}
