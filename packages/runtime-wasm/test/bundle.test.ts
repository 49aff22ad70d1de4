/**
 * What a page has to fetch: the runtime with all it needs, bundled and minified as an application's bundler does it, compressed as
 * servers do. The worker pool comes when threads are asked for; the 256-bit self-check never comes to a page.
 */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { bundlePage } from './browser/serve.ts';

/** Bytes. */
interface Size {
  readonly plain: number;
  readonly gzip: number;
  readonly brotli: number;
}

const sizeOf = (content: string | Uint8Array): Size => {
  const bytes = Buffer.from(content);
  return { plain: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
};

const total = (sizes: readonly Size[]): Size =>
  sizes.reduce((a, b) => ({ plain: a.plain + b.plain, gzip: a.gzip + b.gzip, brotli: a.brotli + b.brotli }), {
    plain: 0,
    gzip: 0,
    brotli: 0,
  });

it('is small: 17 KB for one thread, 20 KB for several', async () => {
  const files = await bundlePage('all.ts');
  const sizes = (pattern: RegExp): readonly Size[] =>
    [...files].filter(([path]) => pattern.test(path)).map(([, content]) => sizeOf(content));
  const [page, parallel, wide] = [sizes(/^\/page\.js$/), sizes(/\/(pool|worker)-.*\.js$/), sizes(/\/wide-.*\.js$/)];
  // Every file is counted, and the parts that are fetched later are files of their own.
  expect([page.length, parallel.length, wide.length, files.size]).toEqual([1, 2, 1, 5]);
  const say = (what: string, { plain, gzip, brotli }: Size): string =>
    `${what}: ${gzip} bytes by gzip, ${brotli} by brotli, ${plain} minified\n`;
  const [one, several] = [total(page), total([...page, ...parallel])];
  process.stdout.write(
    `${say('runtime, one thread', one)}${say('runtime, several threads', several)}${say('256-bit self-check (Node)', total(wide))}`,
  );
  expect(one.gzip).toBeLessThan(17_000);
  expect(several.gzip).toBeLessThan(20_000);
  expect(several.brotli).toBeLessThan(several.gzip);
});
