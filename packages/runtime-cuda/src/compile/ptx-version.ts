/**
 * PTX says by `.version` which language it is written in, and a driver refuses one newer than itself, also where nothing of the
 * newer language is used. So PTX of a newer toolkit is offered again under the newest version that the driver knows: should an
 * instruction be unknown there, the driver's compiler refuses it by name.
 */

/** PTX language of each CUDA 12; that of CUDA 11.y is 7.y, that of CUDA 13.y is 9.y. */
const TWELVE = ['8.0', '8.1', '8.2', '8.3', '8.4', '8.5', '8.5', '8.6', '8.7', '8.8'] as const;

/** The newest PTX version that a driver of a CUDA version ("12.4") takes. */
export function ptxVersionOf(driver: string): string {
  const [major = 0, minor = 0] = driver.split('.').map(Number);
  if (major === 12) return TWELVE[Math.min(minor, TWELVE.length - 1)] as string;
  return `${major - 4}.${minor}`;
}

/** Whether version `a` ("13.0") is newer than `b`. */
export function isNewer(a: string, b: string): boolean {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  const [x, y] = [left, right].map(([major = 0, minor = 0]) => 1000 * major + minor) as [number, number];
  return x > y;
}

/** The PTX with its version lowered to what the driver takes; undefined for PTX that it takes as it is. */
export function loweredPtx(ptx: Uint8Array, driver: string): Uint8Array | undefined {
  const text = new TextDecoder().decode(ptx);
  const found = /^\.version\s+(\d+\.\d+)/m.exec(text);
  const version = ptxVersionOf(driver);
  if (!found?.[1] || !isNewer(found[1], version)) return undefined;
  return new TextEncoder().encode(text.replace(found[0], `.version ${version}`));
}
