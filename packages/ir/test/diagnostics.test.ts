/**
 * Golden diagnostics: each test/diagnostics/*.layer holds a realistic mistake, the .txt beside it what we say about it.
 * A first line `// elaborate: {…}` elaborates with those arguments instead of the generic check; `// crlf` turns line ends.
 * UPDATE_GOLDEN=1 writes the texts.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkModule,
  codes,
  type Diagnostic,
  DiagnosticError,
  type ElaborateArgs,
  layerFromText,
  renderDiagnostic,
} from '../src/index.ts';

const folder = join(import.meta.dirname, 'diagnostics');
const { UPDATE_GOLDEN } = process.env;
const update = UPDATE_GOLDEN === '1';

/** Mistakes that are too long to keep as files. */
const generated: Readonly<Record<string, string>> = {
  generated_deep_parentheses: `layer f(T) {\n  input x[T]\n  output y[t] = ${'('.repeat(300)}x[t]${')'.repeat(300)}\n}\n`,
  generated_deep_minus: `layer f(T) {\n  input x[T]\n  output y[t] = ${'- '.repeat(50_000)}x[t]\n}\n`,
  generated_long_sum: `layer f(T) {\n  input x[T]\n  output y[t] = ${'x[t] + '.repeat(3000)}1\n}\n`,
  generated_runaway_functions: `fn g0(x) = x + x\n${Array.from({ length: 40 }, (_, i) => `fn g${i + 1}(x) = g${i}(g${i}(x))\n`).join('')}layer f(T) {\n  input x[T]\n  output y[t] = g40(x[t])\n}\n`,
  generated_runaway_constants: `fn g0(x) = 1\n${Array.from({ length: 40 }, (_, i) => `fn g${i + 1}(x) = g${i}(x) - g${i}(x)\n`).join('')}layer f(T) {\n  input x[T]\n  output y[t] = g40(x[t])\n}\n`,
  generated_polynomial:
    'layer f(A, B, C, D, E, F, G, H) {\n  let n = (A + B + C + D + E + F + G + H)^16\n  input x[n]\n  output y[t] = x[t]\n}\n',
  generated_chained_functions: `fn g0(x) = x + 1\n${Array.from({ length: 1500 }, (_, i) => `fn g${i + 1}(x) = g${i}(x)\n`).join('')}layer f(T) {\n  input x[T]\n  output y[t] = g1500(x[t])\n}\n`,
  generated_foreign_spaces: 'layer f(T) {\n  input\u00a0x[T]\n\u2003 output y[t] = x[t]\u2028}\n',
  generated_binary: String.fromCharCode(...Array.from({ length: 200 }, (_, i) => (i * 37) % 256)),
};

/** What we say about a text, as text. */
function said(name: string, text: string): { readonly diagnostics: readonly Diagnostic[]; readonly shown: string } {
  const sources = [{ name: `${name}.layer`, text }];
  const header = /^\/\/ elaborate: (.*)/.exec(text);
  try {
    if (header !== null) {
      layerFromText(text, { ...(JSON.parse(header[1] ?? '{}') as ElaborateArgs), name: `${name}.layer` });
      return { diagnostics: [], shown: '' };
    }
    const diagnostics = checkModule(text, `${name}.layer`);
    return { diagnostics, shown: diagnostics.map((d) => renderDiagnostic(d, sources)).join('\n\n') };
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return { diagnostics: error.diagnostics, shown: error.message };
  }
}

const files = readdirSync(folder)
  .filter((f) => f.endsWith('.layer'))
  .map((f) => f.slice(0, -'.layer'.length))
  .sort();
const textOf = (name: string): string => {
  const text = generated[name] ?? readFileSync(join(folder, `${name}.layer`), 'utf8');
  return text.startsWith('// crlf') ? text.replaceAll('\n', '\r\n') : text;
};
const all = [...files, ...Object.keys(generated)];

describe('golden diagnostics', () => {
  it.each(all)('%s', (name) => {
    const { diagnostics, shown } = said(name, textOf(name));
    expect(diagnostics.length).toBeGreaterThan(0);
    // Each names a way out.
    expect(diagnostics.filter((d) => d.help === null)).toEqual([]);
    const golden = join(folder, `${name}.txt`);
    if (update || !existsSync(golden)) {
      if (!update) throw new Error(`no golden text for ${name}: run with UPDATE_GOLDEN=1`);
      writeFileSync(golden, `${shown}\n`);
    }
    expect(`${shown}\n`).toBe(readFileSync(golden, 'utf8'));
  });

  it('places every span inside its source', () => {
    for (const name of all) {
      const text = textOf(name);
      for (const d of said(name, text).diagnostics) {
        for (const span of [d.span, ...d.labels.map((l) => l.span)].filter((s) => s.source === `${name}.layer`)) {
          expect(span.start, name).toBeGreaterThanOrEqual(0);
          expect(span.end, name).toBeGreaterThanOrEqual(span.start);
          expect(span.start, name).toBeLessThanOrEqual(text.length);
        }
      }
    }
  });

  it('shows every code at least once', () => {
    const shown = new Set(all.flatMap((name) => said(name, textOf(name)).diagnostics.map((d) => d.code)));
    expect(Object.keys(codes).filter((c) => !shown.has(c as Diagnostic['code']))).toEqual([]);
  });

  it('has a text for every case and no other', () => {
    const texts = readdirSync(folder)
      .filter((f) => f.endsWith('.txt'))
      .map((f) => f.slice(0, -4))
      .sort();
    expect(texts).toEqual([...all].sort());
  });
});

describe('rendering', () => {
  const text = 'layer f(T) {\n  input x[T]\n  output y[t] = x[t] + z\n}\n';
  const [first] = checkModule(text, 'f.layer');

  it('colours on request and only then', () => {
    if (first === undefined) throw new Error('no diagnostic');
    const plain = renderDiagnostic(first, [{ name: 'f.layer', text }]);
    const colored = renderDiagnostic(first, [{ name: 'f.layer', text }], { color: true });
    expect(plain).not.toContain('\u001b');
    expect(colored).toContain('\u001b[1;31m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes are the point
    expect(colored.replaceAll(/\u001b\[[0-9;]*m/g, '')).toBe(plain);
  });

  it('does without the source', () => {
    if (first === undefined) throw new Error('no diagnostic');
    expect(renderDiagnostic(first, [])).toContain('E101');
  });
});
