/** The version of NVIDIA's kernel driver, which the CUDA driver API does not tell. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Where the kernel module tells of itself. */
const MODULE = '/proc/driver/nvidia/version';
const PATIENCE_MILLISECONDS = 20_000;

/** The version in what the kernel module or nvidia-smi says: "580.95.05". */
export const versionIn = (text: string): string | undefined => /\b\d{3}\.\d+(\.\d+)?\b/.exec(text)?.[0];

/** The version, from the kernel module or from nvidia-smi; undefined where neither says. */
export async function nvidiaDriver(module = MODULE, tool = 'nvidia-smi'): Promise<string | undefined> {
  const told = await readFile(module, 'utf8').catch(() => '');
  const version = versionIn(told);
  if (version !== undefined) return version;
  const args = ['--query-gpu=driver_version', '--format=csv,noheader'];
  const asked = promisify(execFile)(tool, args, { timeout: PATIENCE_MILLISECONDS });
  return versionIn(await asked.then(({ stdout }) => stdout).catch(() => ''));
}
