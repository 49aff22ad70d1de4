import { describe, expect, it } from 'vitest';
import { espalier } from './support/terminal.ts';

describe('simulate', () => {
  it.each([
    'simulate ff --target wgsl,cuda --dims T=5,D=12,H=20,O=12',
    'simulate ff --target cuda --dims T=0,D=5,H=3,O=2',
    'simulate fff --target wgsl --dims T=3,D=9,O=7,trees=2,depth=3 --trace --seed 99',
    'simulate embedding --target cuda --dims T=9,V=50,D=8 --integers ids=50 --seed 7',
    'simulate linear --target wgsl --dims T=9,D=7,O=5 --storage w=f16 --strategy generic',
  ])('%s', async (line) => {
    const { code, out, error } = await espalier(line);
    expect([error, code]).toEqual(['', 0]);
    expect(out).toContain('No race, no unwritten memory, no access out of bounds.');
    expect(out).toMatch(/^ {2}✓ {2}y/m);
    expect(out).not.toContain('✗');
  });

  it('gives the same report for the same seed, and other numbers for another', async () => {
    const line = 'simulate rms_norm --target cuda --dims T=4,D=33 --json --seed';
    const first = await espalier(`${line} 3`);
    expect((await espalier(`${line} 3`)).out).toBe(first.out);
    expect((await espalier(`${line} 4`)).out).not.toBe(first.out.replace('"seed": 3', '"seed": 4'));
  });

  it('finds what lanes do that do not wait for each other', async () => {
    const { code, out } = await espalier('simulate linear --target ./targets.ts#hasty --dims T=40,D=24,O=40');
    expect(code).toBe(1);
    expect(out).toMatch(/\d+ findings?, met \d+ times:/);
    expect(out).toMatch(/race/);
    expect(out).toMatch(/in kernel k0, workgroup \d+, lanes? \d+/);
    expect(out).toContain('from espalier/linear.layer:');
  });

  it('refuses integers that a layer lacks, and says when a run met a bad one', async () => {
    const lacks = await espalier('simulate ff --target cuda --dims T=1,D=1,H=1,O=1 --integers x=3');
    expect([lacks.code, lacks.error.split('\n')[0]]).toEqual([2, 'U005: ff has no integers called x']);
    const met = await espalier('simulate embedding --target wgsl --dims T=9,V=2,D=8 --integers ids=500');
    expect(met.code).toBe(1);
    expect(met.error).toMatch(/F001: .*espalier\/embedding\.layer:5:26/);
  });
});
