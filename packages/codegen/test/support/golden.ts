/** Golden texts: files that a test's result must equal. `UPDATE_GOLDEN=1` writes them instead; read the diff then. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

/** Compares `text` with the file test/golden/`path`. */
export function expectGolden(path: string, text: string): void {
  const file = fileURLToPath(new URL(`../golden/${path}`, import.meta.url));
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  if (!existsSync(file))
    throw new Error(`there is no test/golden/${path}; run the test with UPDATE_GOLDEN=1 and read what it wrote`);
  expect(text, `test/golden/${path} (UPDATE_GOLDEN=1 writes it anew)`).toBe(readFileSync(file, 'utf8'));
}
