import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answer } from '../src/completion/answer.ts';
import { espalier } from './support/terminal.ts';

const here = join(import.meta.dirname, '..');
/** The words offered, and the directive. */
async function offered(line: string): Promise<{ readonly words: readonly string[]; readonly directive: string }> {
  const lines = (await answer(line.split(' '), here)).trimEnd().split('\n');
  return { words: lines.slice(0, -1).map((text) => text.split('\t')[0] ?? ''), directive: lines.at(-1) ?? '' };
}

describe('completion', () => {
  it.each([
    ['', ['compile', 'explain', 'simulate', 'targets', 'layers', 'bench', 'tune', 'completion']],
    ['--', ['--version', '--debug', '--help']],
    ['compile ff', ['ff', 'fff']],
    ['compile ff --dims D=1 --ta', ['--target']],
    ['compile --target w', ['wasm', 'wgsl']],
    ['compile --target=w', ['wasm', 'wgsl']],
    ['compile ff --target wasm,', ['wasm,wgsl', 'wasm,cuda']],
    ['explain ff --target wasm --after expand', ['expand-math']],
    ['explain ff --target wasm --diff wasm-a', ['wasm-addresses']],
    ['explain ff --dims ', ['T=', 'D=', 'H=', 'O=']],
    ['explain ff --dims D=7,', ['D=7,T=', 'D=7,H=', 'D=7,O=']],
    ['explain --target wasm ff --dims=D=7,H', ['D=7,H=']],
    ['explain ff --option ', ['activation=']],
    ['explain ff --option activation=gelu', ['activation=gelu', 'activation=gelu_tanh']],
    ['explain ff --target wasm --capability relaxed-simd=', ['relaxed-simd=true', 'relaxed-simd=false']],
    ['explain ff --strategy ', ['best', 'generic']],
    ['explain ../../packages/ir/layers/leaf', ['../../packages/ir/layers/leaf_fff.layer']],
    ['compile ff --out te', ['test/']],
    ['compile ff --target ./src/targ', ['./src/targets.ts']],
    ['layers rms', ['rms_norm']],
    ['tune rms', ['rms_norm']],
    ['tune ff --r', ['--rows']],
    ['bench --mo', ['--modes']],
    ['bench --json ../cli/package', ['../cli/package.json']],
    ['bench ', []],
    ['tune ff --rows ', []],
    ['completion ', ['bash', 'zsh', 'fish', 'powershell']],
    ['completion bash ', []],
    ['nonsense ff --target ', []],
  ])('espalier %s', async (line, words) => {
    expect((await offered(line)).words).toEqual(words);
  });

  it('asks for no space where more follows', async () => {
    expect((await offered('explain ff --dims ')).directive).toBe(':6');
    expect((await offered('explain ff --target w')).directive).toBe(':4');
  });

  it('prints a script for every shell', async () => {
    for (const shell of ['bash', 'zsh', 'fish', 'powershell'])
      expect((await espalier(`completion ${shell}`)).out, shell).toMatch(/espalier['"]? complete /);
  });

  it('works in bash, with words cut at every "="', () => {
    const main = join(here, 'src/main.ts');
    const script = `
espalier() { '${process.execPath}' --conditions=espalier-source --no-warnings '${main}' "$@"; }
source <(espalier completion bash); source <(espalier completion bash)
try() { COMP_WORDS=(espalier "$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _espalier_complete; echo "\${COMPREPLY[*]}"; }
try compile gat
try explain ff --dims D = 7,
try explain ff --target = wa
try compile ''\\''; touch oops' ''
`;
    const out = execFileSync('bash', ['--norc', '-c', script], { cwd: here, encoding: 'utf8' });
    expect(out.split('\n').slice(0, 3)).toEqual(['gated_ff', '7,T= 7,H= 7,O=', 'wasm']);
    expect(execFileSync('ls', { cwd: here, encoding: 'utf8' })).not.toContain('oops');
  });
});
