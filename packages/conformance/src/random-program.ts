/**
 * Random programs for fast-check, and what is asked of one: that a device gives what the interpreter gives, or the fault
 * that the interpreter finds.
 */
import { type Capabilities, type CompileOptions, type Target, wasm } from '@espalier/codegen';
import { DiagnosticError, type InterpretError, type LayerIR, layerFromText } from '@espalier/ir';
import { type Device, FaultError } from '@espalier/runtime';
import fc from 'fast-check';
import { conditionedReference, isFault } from './conditioning.ts';
import { generateProgram } from './generate.ts';
import { compareOutputs, runCompiled, tensorLengths } from './layer-case.ts';
import { type Program, printProgram, programData, smaller } from './program.ts';

class Programs extends fc.Arbitrary<Program> {
  override generate(random: fc.Random): fc.Value<Program> {
    const program = generateProgram({
      int: (below) => random.nextInt(0, Math.max(1, below) - 1),
      chance: (probability) => random.nextDouble() < probability,
      pick: (from) => from[random.nextInt(0, from.length - 1)] as (typeof from)[number],
    });
    return new fc.Value(program, undefined);
  }

  override canShrinkWithoutContext(_value: unknown): _value is Program {
    return true;
  }

  override shrink(program: Program): fc.Stream<fc.Value<Program>> {
    return fc.stream(values(program));
  }
}

function* values(program: Program): Generator<fc.Value<Program>> {
  for (const less of smaller(program)) yield new fc.Value(less, undefined);
}

/** An arbitrary of programs that shrinks by statements, then expressions, then dims. */
export const programs = (): fc.Arbitrary<Program> => new Programs();

/** How to compile a program, by the number of its run: strategies and capabilities take turns. */
export interface RandomOptions {
  readonly target?: Target;
  readonly capabilities?: Capabilities;
  readonly strategy?: 'best' | 'generic';
}

/** What became of a program. `wrong` carries what differed or was thrown, for people. */
export type Outcome =
  | { readonly kind: 'agrees' }
  /** Both the interpreter and the device found an index out of range. */
  | { readonly kind: 'faults' }
  /** Two right answers lie further apart than a comparison allows. */
  | { readonly kind: 'ill-conditioned' }
  /** The checker refused the text. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'wrong'; readonly why: string };

const wrong = (why: string): Outcome => ({ kind: 'wrong', why });

/** Runs a program and says what became of it. Never rejects. */
export async function tryProgram(device: Device, program: Program, options: RandomOptions = {}): Promise<Outcome> {
  const dims = Object.fromEntries(program.dims.map((d) => [d.name, d.value]));
  let layer: LayerIR;
  try {
    const text = printProgram(program);
    const used = (name: string): boolean => /\(([^)]*)\)/.exec(text)?.[1]?.split(', ').includes(name) === true;
    const fixed = program.dims.filter((d) => !d.runtime && used(d.name)).map((d) => [d.name, d.value] as const);
    layer = layerFromText(text, { dims: Object.fromEntries(fixed) });
  } catch (error) {
    if (error instanceof DiagnosticError) return { kind: 'refused', why: error.message };
    return wrong(`the checker threw ${describe(error)}`);
  }
  const values = Object.fromEntries(layer.dims.map((name) => [name, dims[name] ?? 0]));
  const tensors = programData(program, tensorLengths(layer, values));
  const exact = new Set(program.tensors.filter((t) => t.exact).map((t) => t.name));
  const compileOptions: CompileOptions = {
    target: options.target ?? wasm,
    ...(options.capabilities === undefined ? {} : { capabilities: options.capabilities }),
    ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
  };
  let reference: ReturnType<typeof conditionedReference>;
  try {
    reference = conditionedReference(layer, values, tensors, exact);
  } catch (error) {
    if (!isFault(error)) return wrong(`the interpreter threw ${describe(error)}`);
    return expectFault(device, { layer, dims: values, tensors }, compileOptions, error);
  }
  try {
    const outputs = await runCompiled(device, reference ?? { layer, dims: values, tensors }, compileOptions);
    if (reference === null) return { kind: 'ill-conditioned' };
    const difference = compareOutputs(reference, outputs);
    return difference === null ? { kind: 'agrees' } : wrong(JSON.stringify(difference, readable));
  } catch (error) {
    if (reference === null && error instanceof FaultError) return { kind: 'ill-conditioned' };
    return wrong(`thrown: ${describe(error)}`);
  }
}

/** JSON has no NaN and no infinities. */
const readable = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

async function expectFault(
  device: Device,
  run: Parameters<typeof runCompiled>[1],
  options: CompileOptions,
  found: InterpretError,
): Promise<Outcome> {
  try {
    await runCompiled(device, run, options);
    return wrong(`the run did not notice: ${found.message}`);
  } catch (error) {
    return error instanceof FaultError
      ? { kind: 'faults' }
      : wrong(`${describe(error)} instead of a fault, where ${found.message}`);
  }
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** How programs fared. */
export interface Tally {
  runs: number;
  agrees: number;
  faults: number;
  illConditioned: number;
  refused: number;
}

/** A run that found a program on which a device is wrong. */
export interface Failure {
  readonly program: Program;
  readonly text: string;
  readonly why: string;
  readonly options: RandomOptions;
  readonly seed: number;
}

export interface RandomRun {
  readonly tally: Tally;
  readonly failure: Failure | null;
}

export interface RunOptions {
  /** The target to compile for; WASM unless told. */
  readonly target?: Target;
  /** Capabilities that programs are compiled for in turn; WASM's with and without relaxed SIMD unless told. */
  readonly capabilities?: readonly Capabilities[];
  /** Told of every run. */
  readonly progress?: (tally: Tally) => void;
}

/** The way of compiling that program number `turn` takes: strategies and capabilities meet in all combinations. */
function optionsAt(turn: number, { target = wasm, capabilities }: RunOptions): RandomOptions {
  const known = capabilities ?? (target === wasm ? [{ 'relaxed-simd': true }, { 'relaxed-simd': false }] : [{}]);
  const strategy = turn % 2 === 0 ? 'best' : 'generic';
  return { target, strategy, capabilities: known[(turn + Math.floor(turn / 2)) % known.length] ?? {} };
}

/**
 * Runs `count` programs that a device must agree on (ill-conditioned and refused ones come on top). Stops at the first
 * wrong one and shrinks it.
 */
export async function runPrograms(
  device: Device,
  count: number,
  seed: number,
  options: RunOptions = {},
): Promise<RandomRun> {
  const tally: Tally = { runs: 0, agrees: 0, faults: 0, illConditioned: 0, refused: 0 };
  const arbitrary = programs();
  let block = 0;
  while (tally.agrees + tally.faults < count) {
    // Not negative, so that it can be given to a command.
    const programSeed = (seed + Math.imul(block, 0x9e3779b1)) >>> 0;
    const failure = await runBlock(
      device,
      arbitrary,
      Math.min(500, count - tally.agrees - tally.faults),
      programSeed,
      tally,
      options,
    );
    if (failure !== null) return { tally, failure };
    block++;
  }
  return { tally, failure: null };
}

async function runBlock(
  device: Device,
  arbitrary: fc.Arbitrary<Program>,
  count: number,
  seed: number,
  tally: Tally,
  run: RunOptions,
): Promise<Failure | null> {
  // While fast-check shrinks, the way of compiling stays that of the program that failed.
  let turn = 0;
  let last: { options: RandomOptions; why: string } | null = null;
  const property = fc.asyncProperty(arbitrary, async (program) => {
    const options = last?.options ?? optionsAt(turn++, run);
    const outcome = await tryProgram(device, program, options);
    if (outcome.kind === 'wrong') {
      last = { options, why: outcome.why };
      throw new Error(outcome.why);
    }
    if (last !== null) return;
    tally.runs++;
    if (outcome.kind === 'agrees') tally.agrees++;
    else if (outcome.kind === 'faults') tally.faults++;
    else if (outcome.kind === 'refused') tally.refused++;
    else tally.illConditioned++;
    run.progress?.(tally);
  });
  const details = await fc.check(property, { numRuns: count, seed: seed | 0, endOnFailure: false, verbose: 0 });
  if (!details.failed) return null;
  const [program] = details.counterexample ?? [];
  if (program === undefined) throw new Error('fast-check failed without a program', { cause: details.errorInstance });
  const again = await tryProgram(device, program, (last as { options: RandomOptions } | null)?.options ?? {});
  const why = again.kind === 'wrong' ? again.why : `not reproduced: ${again.kind}`;
  return {
    program,
    text: printProgram(program),
    why,
    options: (last as { options: RandomOptions } | null)?.options ?? {},
    seed,
  };
}
