/**
 * `ESPALIER_DUMP=<dir>` writes every stage of every kernel as a numbered file. Read from the environment of Node; in a
 * browser there is none, and nothing is written.
 */
import { printKernel } from './kernel-ir/print.ts';
import type { Observe } from './pipeline.ts';

/** An observer that writes files, or null when nobody asked. */
export function fileSink(layer: string): Observe | null {
  const node = globalThis.process as NodeJS.Process | undefined;
  const folder = node?.env?.['ESPALIER_DUMP'];
  const fs = node?.getBuiltinModule?.('node:fs');
  if (node === undefined || folder === undefined || folder === '' || fs === undefined) return null;
  let count = 0;
  fs.mkdirSync(folder, { recursive: true });
  return (stage, kernel, milliseconds) => {
    const name = `${layer}.${kernel.name}.${String(count++).padStart(2, '0')}-${stage}.txt`;
    fs.writeFileSync(`${folder}/${name}`, `// after ${stage}, ${milliseconds.toFixed(2)} ms\n${printKernel(kernel)}`);
  };
}
