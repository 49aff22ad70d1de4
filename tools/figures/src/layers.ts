/** Single layers of BERT-base size: relaxed and plain SIMD against ONNX Runtime on one thread, the same weights and inputs. */
import { compile, wasm } from '@espalier/codegen';
import { compareLayer, randomTensors, type Tensors } from '@espalier/conformance';
import { type Graph, type LayerIR, Sizes, standardLayer } from '@espalier/ir';
import { exportOnnx } from '@espalier/onnx';
import { type Layer, loadLayer } from '@espalier/runtime';
import { openWasmTarget } from '@espalier/runtime-wasm';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { interleave, type Timing } from './interleave.ts';

interface Work {
  readonly title: string;
  readonly layer: LayerIR;
  readonly tokens: readonly number[];
  /** Operations a token. */
  readonly flops: number;
}

const D = 768;
const works: readonly Work[] = [
  {
    title: 'dense 768-3072-768, erf GELU',
    layer: standardLayer('ff', { dims: { D, H: 3072, O: D } }),
    tokens: [1, 16, 128],
    flops: 4 * D * 3072,
  },
  {
    title: 'tree, depth 11 (12 of 4095 neurons)',
    layer: standardLayer('fff', { dims: { D, O: D, trees: 1, depth: 11 } }),
    tokens: [1, 128, 1024],
    flops: 12 * 4 * D,
  },
];

/** The graph of one layer under its own names. */
function graphOf(layer: LayerIR, tensors: Tensors): Graph {
  const named = (role: string) => layer.tensors.filter((t) => t.role === role);
  const own = (role: string): [string, string][] => named(role).map((t) => [t.name, t.name]);
  return {
    name: layer.name,
    dims: layer.dims,
    tensors: new Map(
      [...named('input'), ...named('output')].map((t) => [
        t.name,
        { name: t.name, storage: t.storage === 'i32' ? 'i32' : 'f32', shape: t.shape },
      ]),
    ),
    inputs: named('input').map((t) => t.name),
    outputs: named('output').map((t) => t.name),
    nodes: [
      {
        id: layer.name,
        layer,
        dims: new Map(layer.dims.map((d) => [d, Sizes.dim(d)])),
        tensors: new Map([...own('input'), ...own('output')]),
        weights: new Map(own('weight')),
      },
    ],
    weights: new Map(
      named('weight').map((t) => [
        t.name,
        {
          name: t.name,
          storage: t.storage,
          shape: t.shape.map((s) => Sizes.constantOf(s) ?? 0),
          data: tensors[t.name] as Float32Array,
        },
      ]),
    ),
  };
}

const microseconds = (ms: number): string => (ms * 1000).toFixed(ms < 0.1 ? 1 : 0).padStart(7);

/** Prints a table; every output is compared with the float64 interpreter before anything is timed. */
export async function layerFigures(print: (line: string) => void): Promise<void> {
  using relaxed = await openWasmTarget('wasm');
  using plain = await openWasmTarget('wasm:plain');
  for (const { title, layer, tokens, flops } of works) {
    print(`\n${title}: µs a token, median (10 % … 90 %), GFLOP/s`);
    for (const T of tokens) {
      const tensors = randomTensors(layer, { T }, 11);
      const inputs = { x: tensors['x'] as Float32Array };
      const weights = Object.fromEntries(Object.entries(tensors).filter(([name]) => name !== 'x'));
      const layers: [string, Layer][] = [];
      for (const [device, on] of [
        [relaxed, true],
        [plain, false],
      ] as const) {
        const options = { target: wasm, capabilities: { 'relaxed-simd': on } };
        if (T <= 16) {
          const difference = await compareLayer(device, layer, { T }, tensors, options);
          if (difference !== null)
            throw new Error(`${title}: wrong output, nothing timed: ${JSON.stringify(difference)}`);
        }
        layers.push([
          on ? 'espalier, relaxed SIMD' : 'espalier, plain SIMD',
          await loadLayer(device, await compile(layer, options), weights),
        ]);
      }
      const session = await InferenceSession.create(exportOnnx(graphOf(layer, tensors)), {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
      });
      const feed = { x: new Tensor('float32', inputs.x, [T, D]) };
      const reference = (await session.run(feed))['y']?.data as Float32Array;
      const ours = (await layers[0]?.[1].run(inputs))?.['y']?.data as Float32Array;
      const apart = ours.reduce((worst, v, i) => Math.max(worst, Math.abs(v - (reference[i] as number))), 0);
      if (!(apart < 1e-4)) throw new Error(`${title}: ${apart} apart from ONNX Runtime, nothing timed`);
      const timings = await interleave(
        [
          ...layers.map(([name, loaded]) => ({
            name,
            run: async () => void (await loaded.run(inputs, { outputs: 'view' })),
          })),
          { name: 'onnxruntime-node', run: async () => void (await session.run(feed)) },
        ],
        3,
        1.5,
      );
      report(T, timings, flops, print);
      for (const [, loaded] of layers) loaded[Symbol.dispose]();
      await session.release();
    }
  }
}

function report(T: number, timings: readonly Timing[], flops: number, print: (line: string) => void): void {
  const baseline = timings.at(-1)?.median ?? Number.NaN;
  for (const t of timings) {
    const each = t.median / T;
    const spread = `(${microseconds(t.low / T).trim()} … ${microseconds(t.high / T).trim()})`;
    print(
      `  T = ${String(T).padEnd(5)} ${t.name.padEnd(24)} ${microseconds(each)} ${spread.padEnd(20)} ${(flops / each / 1e6).toFixed(1).padStart(6)}   ${(baseline / t.median).toFixed(2)}x onnxruntime-node`,
    );
  }
}
