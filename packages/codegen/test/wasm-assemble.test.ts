/** The assembler writes what wabt writes: for every layer, for every instruction alone, and for numbers of every size. */
import { readdirSync, readFileSync } from 'node:fs';
import { standardLayer } from '@espalier/ir';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import openWabt from 'wabt';
import { compile, wasm } from '../src/index.ts';
import { assemble } from '../src/targets/wasm/assemble.ts';
import { instructions } from '../src/targets/wasm/instructions.ts';
import { VALUES } from './support/all-layers.ts';

let wabt: Awaited<ReturnType<typeof openWabt>>;
beforeAll(async () => {
  wabt = await openWabt();
});

function byWabt(source: string): Uint8Array {
  const module = wabt.parseWat('a.wat', source, { simd: true, relaxed_simd: true, sat_float_to_int: true });
  try {
    return new Uint8Array(module.toBinary({ write_debug_names: false }).buffer);
  } finally {
    module.destroy();
  }
}

const agrees = async (source: string): Promise<void> => {
  expect(Buffer.from(await assemble(source, 'a')).toString('hex')).toBe(Buffer.from(byWabt(source)).toString('hex'));
};

const inFunction = (body: string): string => `(module (func (export "f") (param $a i32) (local $b v128) ${body}))`;

describe('whole modules', () => {
  const capabilities = [{}, { 'relaxed-simd': false }, { 'simd-256': true }];
  it.each(Object.keys(VALUES))('%s', async (name) => {
    const layer = standardLayer(name, VALUES[name] ?? {});
    for (const given of capabilities)
      for (const strategy of ['best', 'generic'] as const) {
        const { source } = await compile(layer, { target: wasm, capabilities: given, strategy });
        await agrees(source);
      }
  });

  it('of the golden files', async () => {
    const folder = `${import.meta.dirname}/golden`;
    const files = readdirSync(folder).filter((file) => file.endsWith('.wat'));
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) await agrees(readFileSync(`${folder}/${file}`, 'utf8'));
  });

  it('without anything in them', () => agrees('(module)'));
});

describe('instructions', () => {
  it.each([...instructions])('%s', async (name, { follows }) => {
    if (follows === 'nothing') return agrees(inFunction(`(${name})`));
    if (follows === 'lane') return agrees(inFunction(`(${name} 3 (local.get $b))`));
    await agrees(inFunction(`(${name} (local.get $a))`));
    await agrees(inFunction(`(${name} offset=4294967295 (local.get $a))`));
  });
});

describe('numbers', () => {
  it('of 32 bits, whole', () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.nat(0xffffffff), (n, offset) =>
        agrees(
          inFunction(
            `(i32.const ${n}) (v128.const i32x4 ${n} -1 0 ${-n | 0}) (i32.store offset=${offset} (local.get $a) (i32.const ${n >> 20}))`,
          ),
        ),
      ),
    ));

  it('of 32 bits, with a point', () =>
    fc.assert(
      fc.asyncProperty(fc.float(), (f) => {
        const text = Number.isNaN(f)
          ? 'nan'
          : Number.isFinite(f)
            ? Object.is(f, -0)
              ? '-0'
              : `${f}`
            : f > 0
              ? 'inf'
              : '-inf';
        return agrees(inFunction(`(f32.const ${text}) (v128.const f32x4 ${text} 0 -0 ${text})`));
      }),
    ));
});

describe('blocks', () => {
  it('are left by the number of blocks to the one that is named', () =>
    agrees(
      inFunction(`
    ;; not (a paren
    (if (local.get $a) (then
      (loop $l0 ;; first
        (loop $l1
          (if (i32.eqz (local.get $a)) (then (br_if $l0 (local.get $a))) (else (br_if $l1 (local.get $a))))
          (br_if $l1 (local.get $a)))
        (br_if $l0 (local.get $a)))))`),
    ));
});

describe('text that print does not write', () => {
  it.each([
    ['(module (table 1 funcref))', 'm.wat, line 1: table is not what the assembler knows there'],
    [inFunction('(\n(i64.const 1))'), 'm.wat, line 2: ( is not'],
    [inFunction('\n\n(local.get $c)'), 'm.wat, line 3: $c is not'],
    [inFunction('(loop $l (br_if $m (local.get $a)))'), '$m is not'],
    [inFunction('(i32.const one)'), 'one is not'],
    [inFunction('(i32.add'), 'its end is not'],
    ['(module (func (export "f") (param $a i64)))', 'i64 is not'],
  ])('%s', async (source, message) => {
    await expect(assemble(source, 'm')).rejects.toThrow(message);
  });
});
