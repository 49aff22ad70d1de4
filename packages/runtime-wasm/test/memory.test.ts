/**
 * A loaded model takes its weights' size in memory and little more, and on demand no more while it loads: measured in a process of
 * its own. No copy of the checkpoint stays, packing writes into the device's memory.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Bytes. */
interface Measured {
  readonly weights: number;
  /** What the process grew by, at its largest and in the end. */
  readonly peak: number;
  readonly loaded: number;
  readonly sum: number;
}

/** Loads 16 weights of 8 MiB, half of them in a blocked layout, given as `given` says. */
async function measure(given: 'at once' | 'on demand'): Promise<Measured> {
  const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    import { openWasm } from ${here('../src/index.ts')};
    import { loadGraph } from ${here('../../runtime/src/index.ts')};
    import { artefact, binding, launch } from ${here('./support/kernels.ts')};
    const rows = 2048, columns = 1024, bytes = 4 * rows * columns;
    const blocked = [{ part: 'outer', axis: 0, block: 8 }, { part: 'whole', axis: 1 }, { part: 'inner', axis: 0, block: 8 }];
    const make = (name, extra) => artefact(\`(module (import "env" "memory" (memory 0 65536))
      (func (export "k0") (param i32 i32 i32 i32 i32 i32 i32)
        (f32.store (local.get 4) (f32.add (f32.load (local.get 2)) (f32.load (i32.add (local.get 3) (i32.const \${bytes - 4})))))))\`, {
      name, dims: [],
      bindings: [binding('x', 'input', [1]), binding('w', 'weight', [rows, columns], extra), binding('y', 'output', [1])],
      launches: [launch('k0', 1, ['x', 'w', 'y'])],
    });
    const artefacts = [make('plain', {}), make('blocked', { layout: blocked })];
    const count = 16;
    const name = (i) => (i === 0 ? 'x' : i === count ? 'y' : 'h' + i);
    const graph = {
      name: 'heavy', target: 'wasm', dims: [], inputs: ['x'], outputs: ['y'], artefacts,
      tensors: Array.from({ length: count + 1 }, (_, i) => ({ name: name(i), storage: 'f32', shape: [1] })),
      steps: Array.from({ length: count }, (_, i) => ({
        id: 'step' + i, artefact: i % 2, dims: {}, tensors: { x: name(i), y: name(i + 1) }, weights: { w: 'w' + i },
      })),
    };
    const data = (i, room = new Float32Array(rows * columns)) => room.fill(i + 1);
    const weights = () => new Map(Array.from({ length: count }, (_, i) => {
      const part = { storage: 'f32', shape: [rows, columns] };
      return ['w' + i, ${given === 'at once'} ? { ...part, data: data(i) } : { ...part, load: (room) => data(i, room) }];
    }));
    const settle = async () => {
      for (let i = 0; i < 4; i++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await settle();
    const [base, basePeak] = [process.memoryUsage.rss(), process.resourceUsage().maxRSS * 1024];
    const device = await openWasm();
    const loaded = await loadGraph(device, graph, weights());
    const peak = process.resourceUsage().maxRSS * 1024 - basePeak;
    await settle();
    const grown = process.memoryUsage.rss() - base;
    const sum = (await loaded.run({ inputs: { x: Float32Array.of(0) } })).get('y').data[0];
    process.stdout.write(JSON.stringify({ weights: count * bytes, peak, loaded: grown, sum }));`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--expose-gc', '--conditions=espalier-source', '--input-type=module', '--eval', script],
  ]);
  return JSON.parse(stdout) as Measured;
}

it.each(['at once', 'on demand'] as const)('weights given %s', async (given) => {
  const { weights, loaded, peak, sum } = await measure(given);
  // Each step adds the last element of its weight.
  expect(sum).toBe((16 * 17) / 2);
  expect(loaded / weights).toBeGreaterThan(0.95);
  expect(loaded / weights).toBeLessThan(1.1);
  if (given === 'on demand') expect(peak / weights).toBeLessThan(1.2);
});
