/**
 * Runs a layer in float64, statement by statement, as the Layer IR's comments say: this is the meaning of a layer, which
 * every compiled kernel is judged against. It shares nothing with the compiler.
 */
import type { LayerIR, TensorDecl } from '../layer-ir.ts';
import { format } from '../size.ts';
import { traceLayer } from '../trace.ts';
import { boundsName, gainsName, planBounds, tracesOf } from './bounds.ts';
import { emitStatement } from './emit.ts';
import type { EmitContext, Scratch, Site } from './emitter.ts';
import { InterpretError, showSpan } from './errors.ts';
import { scalarHelpers } from './scalar.ts';
import { bindTensor, elementCount, type Readable, shapeOf } from './tensors.ts';

/** Computed tensors: f32 ones in float64, i32 ones as integers. */
export type Computed = Float64Array | Int32Array;

export interface InterpretOptions {
  /** A value for each runtime dim of the layer. */
  readonly dims?: Readonly<Record<string, number>>;
  /**
   * All inputs and weights, row-major. f32: any numbers; f16: bit patterns (Uint16Array) or numbers; i32 and i8: integers.
   */
  readonly tensors: Readonly<Record<string, ArrayLike<number>>>;
  /** The computed tensors wanted back; without it, all locals and outputs. */
  readonly keep?: readonly string[];
  /** Check every access, also those the checker has proven to lie inside their tensor. */
  readonly strict?: boolean;
  /** 'f32' rounds every result to float32, to see what a layer loses by it. Sums run from the first term to the last. */
  readonly precision?: 'f64' | 'f32';
  /**
   * Also return, for every recorded score, how far a float32 run may be from it, `<target>.bounds`, and how far it moves per
   * unit of error in the inputs, `<target>.gains` (see bounds.ts). Descents are traced if they aren't yet.
   */
  readonly bounds?: boolean;
  /** The absolute error of the layer's inputs, counted in the bounds: `inputError · gain` is added. Default 0. */
  readonly inputError?: number;
}

type Fail = (site: number, position: number, value: number, around: readonly number[]) => never;
type Run = (arrays: readonly (Readable | Computed)[], h: typeof scalarHelpers, fail: Fail) => void;

interface CompiledStatement {
  readonly run: Run;
  readonly arrays: readonly { readonly name: string; readonly scratch: Scratch | null }[];
  readonly sites: readonly Site[];
}

/** Loops already written, by layer and then by everything else that their text, or the speed of it, depends on. */
const written = new WeakMap<LayerIR, Map<string, readonly CompiledStatement[]>>();
const traced = new WeakMap<LayerIR, LayerIR>();

function tracedOnce(ir: LayerIR): LayerIR {
  const known = traced.get(ir);
  if (known !== undefined) return known;
  const result = traceLayer(ir);
  traced.set(ir, result);
  return result;
}

function bindDims(ir: LayerIR, given: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  const values = new Map(Object.entries(given));
  for (const name of values.keys()) {
    if (!ir.dims.includes(name)) {
      throw new InterpretError(
        'unknown-dim',
        name,
        `layer ${ir.name} has no runtime dim ${name}; it has ${list(ir.dims)}`,
      );
    }
  }
  for (const name of ir.dims) {
    const value = values.get(name);
    if (value === undefined) {
      throw new InterpretError('missing-dim', name, `layer ${ir.name} needs a value for dim ${name}; give it in dims`);
    }
    if (!Number.isInteger(value) || value < 0) {
      throw new InterpretError(
        'bad-dim',
        name,
        `dim ${name} of layer ${ir.name} is ${value}; it must be an integer, 0 or more`,
      );
    }
  }
  return values;
}

const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

function bindTensors(
  ir: LayerIR,
  shapes: ReadonlyMap<string, readonly number[]>,
  given: Readonly<Record<string, ArrayLike<number>>>,
): Map<string, Readable | Computed> {
  const wanted = ir.tensors.filter((tensor) => tensor.role === 'input' || tensor.role === 'weight');
  for (const name of Object.keys(given)) {
    if (!wanted.some((tensor) => tensor.name === name)) {
      const names = list(wanted.map((tensor) => tensor.name));
      throw new InterpretError('unknown-tensor', name, `layer ${ir.name} takes no tensor ${name}; it takes ${names}`);
    }
  }
  const bound = new Map<string, Readable | Computed>();
  for (const tensor of wanted) {
    const values = Object.hasOwn(given, tensor.name) ? given[tensor.name] : undefined;
    const shape = shapes.get(tensor.name) ?? [];
    if (values === undefined) {
      const symbolic = `${tensor.name}[${tensor.shape.map(format).join(', ')}]`;
      throw new InterpretError(
        'missing-tensor',
        tensor.name,
        `layer ${ir.name} needs ${tensor.role} ${symbolic}: ${tensor.storage} of shape [${shape.join(', ')}]; got nothing`,
      );
    }
    bound.set(tensor.name, bindTensor(tensor, shape, values));
  }
  return bound;
}

function allocate(kind: 'f64' | 'i32', length: number, fill: number): Computed {
  const array = kind === 'f64' ? new Float64Array(length) : new Int32Array(length);
  return fill === 0 ? array : array.fill(fill);
}

function statementsOf(context: EmitContext, key: string): readonly CompiledStatement[] {
  const perLayer = written.get(context.ir) ?? new Map<string, readonly CompiledStatement[]>();
  written.set(context.ir, perLayer);
  const known = perLayer.get(key);
  if (known !== undefined) return known;
  const compiled = context.ir.statements.map((statement) => {
    const { text, arrays, sites } = emitStatement(context, statement);
    return { run: new Function('arrays', 'h', 'fail', text) as Run, arrays, sites };
  });
  perLayer.set(key, compiled);
  return compiled;
}

function failures(ir: LayerIR, shapes: ReadonlyMap<string, readonly number[]>, sites: readonly Site[]): Fail {
  return (number, position, value, around) => {
    const site = sites[number];
    if (site === undefined) throw new Error(`no check number ${number}`);
    const { checked: access } = site;
    const where = site.around.map((name, i) => `${name} = ${around[i]}`).join(', ');
    if (access.kind === 'op')
      throw new InterpretError(
        'bad-divisor',
        ir.name,
        `the divisor is ${value} at ${where || 'the only element'}; it must be 1 or more\n${showSpan(ir.sources, access.span)}`,
      );
    const size = shapes.get(access.tensor)?.[position];
    const range = size === 0 ? 'it has no elements' : `the range is 0 to ${(size ?? 0) - 1}`;
    const proven =
      access.inBounds[position] === true ? ' (the checker had proven it inside: a bug of the checker)' : '';
    throw new InterpretError(
      'out-of-range',
      access.tensor,
      `index ${position + 1} of ${access.tensor} is ${value} at ${where || 'the only element'}, but ${range}${proven}\n${showSpan(ir.sources, access.span)}`,
    );
  };
}

/**
 * Computes a layer. Returns its locals and outputs by name (or those in `keep`), the records of traced descents among them:
 * a route entry that no value needed holds node −1 and score 0.
 *
 * Needs `new Function`, so it doesn't run under a content security policy without 'unsafe-eval'. Throws InterpretError.
 */
export function interpretLayer(ir: LayerIR, options: InterpretOptions): Record<string, Computed> {
  const layer = options.bounds === true ? tracedOnce(ir) : ir;
  const dims = bindDims(layer, options.dims ?? {});
  const shapes = new Map(layer.tensors.map((tensor) => [tensor.name, shapeOf(tensor, dims)]));
  const arrays = bindTensors(layer, shapes, options.tensors);
  const { strict = false, precision = 'f64', inputError = 0 } = options;
  const bounds = options.bounds === true ? planBounds(layer, inputError) : null;

  const kinds = [...arrays.values()].map((array) => array.constructor.name);
  const key = JSON.stringify([[...dims], kinds, strict, precision, bounds !== null, inputError]);
  const statements = statementsOf({ ir: layer, dims, shapes, strict, precision, bounds }, key);

  const computed = layer.tensors.filter((tensor) => tensor.role === 'local' || tensor.role === 'output');
  for (const tensor of computed) arrays.set(tensor.name, blank(tensor, shapes.get(tensor.name) ?? [], layer));
  const wanted = new Set(options.keep ?? computed.map((tensor) => tensor.name));
  for (const name of wanted) {
    if (!computed.some((tensor) => tensor.name === name)) {
      throw new InterpretError('unknown-tensor', name, `layer ${ir.name} computes no tensor ${name}`);
    }
  }
  for (const { run, arrays: needed, sites } of statements) {
    const bound = needed.map(({ name, scratch }) => {
      const known = arrays.get(name);
      if (known !== undefined) return known;
      if (scratch === null) throw new Error(`layer ${ir.name}: no tensor ${name}`);
      const fresh = allocate(scratch.kind, scratch.length, scratch.fill);
      arrays.set(name, fresh);
      return fresh;
    });
    run(bound, scalarHelpers, failures(layer, shapes, sites));
  }
  if (bounds !== null) for (const trace of tracesOf(layer)) wanted.add(boundsName(trace)).add(gainsName(trace));
  const results = [...arrays].filter(([name]) => wanted.has(name));
  return Object.fromEntries(results) as Record<string, Computed>;
}

/** An output before anything is written; the nodes of a trace start as −1, "not walked". */
function blank(tensor: TensorDecl, shape: readonly number[], ir: LayerIR): Computed {
  const recorded = !ir.statements.some((statement) => statement.target === tensor.name);
  const kind = tensor.storage === 'i32' ? 'i32' : 'f64';
  return allocate(kind, elementCount(shape), recorded && kind === 'i32' ? -1 : 0);
}
