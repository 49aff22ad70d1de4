/** The same runtimes inside a page of Chromium: compiled here, loaded and run there, compared here. */
import { encodeGraph } from '@espalier/artefact';
import { wasm, wgsl } from '@espalier/codegen';
import { inputParts, type OutputTensor } from '@espalier/runtime';
import { compilerCapabilities } from '@espalier/runtime-webgpu';
import type { Engine, Loaded, Ran } from '../browser/messages.ts';
import type { PageSession } from '../browser/session.ts';
import { graphics, strict } from '../compare/tolerance.ts';
import { compilerFor, unknownSpec } from './compiler.ts';
import type { DeviceElsewhere, TargetFamily } from './family.ts';

const engines: Readonly<Record<string, Engine>> = { 'chromium:wasm': 'wasm', 'chromium:webgpu': 'webgpu' };
const specs = Object.keys(engines);

/** The page's device: graphs are numbered, and their numbers travel. */
function deviceIn(session: PageSession): DeviceElsewhere {
  let next = 0;
  return {
    info: session.opened,
    async loadGraph(compiled, weights, { poison, prepared }) {
      const id = next++;
      const used = new Set(compiled.steps.flatMap((step) => Object.values(step.weights)));
      const carried = [...weights].filter(([name]) => used.has(name));
      const described = carried.map(([name, { storage, shape }]) => ({ name, storage, shape }));
      const loaded = await session.ask({ kind: 'load', id, poison, prepared: prepared ?? null, weights: described }, [
        encodeGraph(compiled),
        ...carried.map(([, { data }]) => data),
      ]);
      let memory = loaded.body as Loaded;
      return {
        get memory() {
          return memory;
        },
        async run({ inputs, dims, keep }) {
          const given = [...(inputs instanceof Map ? inputs : Object.entries(inputs))].map(
            ([name, input]) => [name, inputParts(input)] as const,
          );
          const named = given.map(([name, { shape }]) => ({ name, shape: shape ?? null }));
          const { body, arrays } = await session.ask(
            { kind: 'run', id, inputs: named, dims: dims ?? null, keep: keep ?? [] },
            given.map(([, { data }]) => data),
          );
          const ran = body as Ran;
          memory = ran.memory;
          return new Map(
            ran.tensors.map(({ name, shape }, i): readonly [string, OutputTensor] => [
              name,
              { shape, data: arrays[i] as OutputTensor['data'] },
            ]),
          );
        },
        // Best effort: the page ends soon, and with it everything in it.
        [Symbol.dispose]: () => void session.ask({ kind: 'free', id }).catch(() => undefined),
      };
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

export const chromiumFamily: TargetFamily = {
  name: 'chromium',
  known: specs,
  defaults: () => [],
  all: () => specs,
  async open(spec) {
    const engine = engines[spec];
    if (engine === undefined) throw unknownSpec(spec, specs);
    // Here and not above: who asks for no browser need not wait for the bundler to load.
    const { PageSession } = await import('../browser/session.ts');
    const device = deviceIn(await PageSession.open(engine));
    const compiler =
      engine === 'webgpu'
        ? compilerFor(wgsl, compilerCapabilities(device))
        : compilerFor(wasm, { 'relaxed-simd': device.info.capabilities['relaxed-simd'] === true });
    return {
      spec,
      device,
      threads: 1,
      strictness: engine === 'webgpu' ? graphics : strict,
      // Every call is a journey to another process.
      timed: false,
      ...compiler,
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};
