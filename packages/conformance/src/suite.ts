/**
 * The suite: every layer there is, compiled with both strategies and run on a device, must give what the float64
 * interpreter gives and what each other's code gives; bad inputs must fault and leave the device usable. A target or
 * runtime author calls `runConformance` with the functions of a test runner and a way to open a device.
 */
import { type Capabilities, type CompileOptions, compile, type Target } from '@espalier/codegen';
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import { type Device, FaultError, loadLayer, type OutputTensor } from '@espalier/runtime';
import { faultCases } from './fault-cases.ts';
import {
  compareOutputs,
  compareValues,
  type Difference,
  type Reference,
  randomTensors,
  referenceOf,
  runCompiled,
  type Tensors,
} from './layer-case.ts';
import { type OddLayer, oddLayers } from './odd-layers.ts';
import { standardCases } from './standard-cases.ts';

/** What the suite needs of a test runner; those of vitest, jest and node:test fit (there `before` and `after`). */
export interface TestRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  beforeAll(body: () => Promise<void>): void;
  afterAll(body: () => Promise<void>): void;
}

/** The target and device under test. */
export interface ConformanceSubject {
  /** For people: "wasm:plain". */
  readonly name: string;
  /** Opens the device; the suite disposes of it. */
  open(): Promise<Device>;
  readonly target: Target;
  readonly capabilities?: Capabilities;
  /** Values may be off by this times what the suite allows (1): for machines with coarser functions than a CPU's. */
  readonly slack?: number;
}

const strategies = ['generic', 'best'] as const;
type Strategy = (typeof strategies)[number];

/** Declares the tests. A failing one throws an Error that names layer, dims, strategy, tensor and element. */
export function runConformance(runner: TestRunner, subject: ConformanceSubject): void {
  const { describe, it } = runner;
  describe(`conformance of ${subject.name}`, () => {
    let device: Device | null = null;
    const opened = (): Device => {
      if (device === null) throw new Error(`${subject.name} did not open`);
      return device;
    };
    runner.beforeAll(async () => {
      device = await subject.open();
    });
    runner.afterAll(async () => device?.[Symbol.dispose]());

    describe('standard layers', () => {
      for (const c of standardCases()) {
        it(`${c.layer} ${JSON.stringify(c.dims)}`, async () => {
          const layer = standardLayer(c.layer, { dims: c.dims });
          for (const run of c.runs) {
            const tensors = randomTensors(layer, run, 7, c.integers(run));
            await checkLayer(opened(), subject, layer, run, tensors);
          }
        });
      }
    });
    describe('odd layers', () => {
      for (const odd of oddLayers) it(odd.name, () => checkOdd(opened(), subject, odd));
    });
    describe('faults', () => {
      for (const c of faultCases()) {
        for (const strategy of strategies)
          it(`${c.name}, ${strategy}`, () => checkFault(opened(), optionsOf(subject, strategy), c));
      }
    });
  });
}

function optionsOf(subject: ConformanceSubject, strategy: Strategy): CompileOptions {
  const { target, capabilities } = subject;
  return capabilities === undefined ? { target, strategy } : { target, strategy, capabilities };
}

async function checkOdd(device: Device, subject: ConformanceSubject, odd: OddLayer): Promise<void> {
  const layer = layerFromText(odd.text, {
    name: `${odd.name}.layer`,
    ...(odd.dims === undefined ? {} : { dims: odd.dims }),
  });
  for (const [i, run] of (odd.runs ?? [{}]).entries()) {
    const random = randomTensors(layer, run, 100 + i, odd.integers);
    await checkLayer(device, subject, layer, run, odd.data?.(random) ?? random);
  }
}

/**
 * Runs a layer with both strategies. Throws an Error when either differs from the interpreter, or when they differ from
 * each other by more than both may from it.
 */
export async function checkLayer(
  device: Device,
  subject: Pick<ConformanceSubject, 'target' | 'capabilities' | 'slack'>,
  layer: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Tensors,
): Promise<void> {
  const strict = referenceOf(layer, dims, tensors);
  const slack = subject.slack ?? 1;
  const allowed = Object.fromEntries(Object.entries(strict.allowed).map(([name, a]) => [name, a * slack]));
  const reference: Reference = { ...strict, allowed };
  const outputs = new Map<Strategy, Readonly<Record<string, OutputTensor>>>();
  for (const strategy of strategies) {
    const given = await runCompiled(
      device,
      reference,
      optionsOf({ name: '', open: async () => device, ...subject }, strategy),
    );
    outputs.set(strategy, given);
    const difference = compareOutputs(reference, given);
    if (difference !== null) throw new Error(sayDifference(layer, dims, `${strategy} and the interpreter`, difference));
  }
  for (const binding of Object.keys(reference.expected)) {
    // Routes that were not needed are undefined; the others have been compared with the interpreter's already.
    if (/\.(nodes|scores)(\.\d+)?$/.test(binding)) continue;
    const [generic, best] = strategies.map((s) => outputs.get(s)?.[binding]?.data ?? []);
    const difference = compareValues(binding, generic ?? [], best ?? [], allowed[binding] ?? 0);
    if (difference !== null) throw new Error(sayDifference(layer, dims, 'generic and best', difference));
  }
}

const sayDifference = (layer: LayerIR, dims: Readonly<Record<string, number>>, what: string, d: Difference): string =>
  d.index < 0
    ? `${layer.name} ${JSON.stringify(dims)}: ${what} differ in the length of ${d.tensor}: ${d.expected} and ${d.actual}`
    : `${layer.name} ${JSON.stringify({ ...layer.fixed, ...dims })}: ${what} differ at element ${d.index} of ${d.tensor}: ` +
      `expected ${d.expected}, got ${d.actual}, allowed ${d.allowed}`;

async function checkFault(
  device: Device,
  options: CompileOptions,
  c: ReturnType<typeof faultCases>[number],
): Promise<void> {
  using loaded = await loadLayer(device, await compile(c.layer, options), c.weights);
  const before = await loaded.run(c.good);
  const values = new Map(Object.entries(before).map(([name, t]) => [name, t.data.slice()]));
  for (let attempt = 0; attempt < 2; attempt++) {
    const error: unknown = await loaded.run(c.bad).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof FaultError))
      throw new Error(`expected a FaultError, got ${String(error)}`, { cause: error });
    if (!c.message.test(error.fault)) throw new Error(`the fault says "${error.fault}", not ${c.message}`);
    if (!c.place.test(error.place)) throw new Error(`the fault points at ${error.place}, not ${c.place}`);
    // A good run after a bad one gives what it gave before.
    for (const [name, tensor] of Object.entries(await loaded.run(c.good))) {
      const difference = compareValues(name, values.get(name) ?? [], tensor.data, 0);
      if (difference !== null)
        throw new Error(
          `after a fault, ${name}[${difference.index}] is ${difference.actual}, was ${difference.expected}`,
        );
    }
  }
}
