/** Turning a module's memory import into a shared one: the right bit, nothing else, and errors for everything odd. */
import { ArtefactError } from '@espalier/artefact';
import { describe, expect, it } from 'vitest';
import { engine } from '../src/engine.ts';
import { withSharedMemory } from '../src/index.ts';
import { assemble } from './support/kernels.ts';

const differences = (a: Uint8Array, b: Uint8Array): readonly number[] =>
  Array.from(a.keys()).filter((i) => a[i] !== b[i]);

describe('withSharedMemory', () => {
  it.each([
    ['alone', '(module (import "env" "memory" (memory 0 65536)))'],
    ['after a function', '(module (import "a" "f" (func (param i32))) (import "env" "memory" (memory 3 200)))'],
    ['after a table', '(module (import "a" "t" (table 1 2 funcref)) (import "env" "memory" (memory 0 65536)))'],
    ['after a global', '(module (import "a" "g" (global (mut i64))) (import "env" "memory" (memory 0 65536)))'],
    [
      'with long names',
      `(module (import "${'x'.repeat(300)}" "g" (global i32)) (import "env" "memory" (memory 0 65536)))`,
    ],
  ])('changes one byte, from 1 to 3: %s', (_, wat) => {
    const binary = assemble(wat);
    const patched = withSharedMemory(binary);
    const [at, ...more] = differences(binary, patched);
    expect(more).toEqual([]);
    expect([binary[at as number], patched[at as number]]).toEqual([1, 3]);
    expect(engine().validate(patched)).toBe(true);
  });

  it('makes a module that instantiates with shared memory, which the original does not', async () => {
    const binary = assemble('(module (import "env" "memory" (memory 0 65536)) (func (export "k")))');
    const memory = new (engine().Memory)({ initial: 1, maximum: 10, shared: true });
    const instantiate = async (bytes: Uint8Array): Promise<unknown> =>
      new (engine().Instance)(await engine().compile(bytes), { env: { memory } });
    await expect(instantiate(binary)).rejects.toThrow(/shared/);
    await expect(instantiate(withSharedMemory(binary))).resolves.toBeDefined();
  });

  it('leaves a module alone that is shared already', () => {
    const binary = assemble('(module (import "env" "memory" (memory 0 65536 shared)))');
    expect(withSharedMemory(binary)).toEqual(new Uint8Array(binary));
  });

  it.each([
    ['no memory import', assemble('(module (memory 1 2))'), /does not import env.memory/],
    ['memory of another name', assemble('(module (import "env" "heap" (memory 0 2)))'), /does not import env.memory/],
    ['no maximum', assemble('(module (import "env" "memory" (memory 0)))'), /without a maximum/],
    ['not a module', new TextEncoder().encode('(module)'), /not a WebAssembly module/],
    ['nothing', new Uint8Array(), /not a WebAssembly module/],
  ])('refuses %s', (_, binary, message) => {
    expect(() => withSharedMemory(binary)).toThrow(ArtefactError);
    expect(() => withSharedMemory(binary)).toThrow(message);
  });

  it('refuses a module cut short anywhere, and never reads past its end', () => {
    const binary = assemble('(module (import "a" "t" (table 1 2 funcref)) (import "env" "memory" (memory 0 65536)))');
    for (let length = 0; length < binary.length; length++)
      expect(() => withSharedMemory(binary.slice(0, length))).toThrow(ArtefactError);
  });
});
