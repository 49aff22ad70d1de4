/** What this target refuses, with a stable code and a way out. */

/**
 * Raised by the WGSL target. W001: a kernel whose shape of workgroup WGSL can't run. W002: a kernel that takes more than
 * a limit among the capabilities. W003: a construct WGSL has no counterpart of.
 */
export class WgslError extends Error {
  readonly code: 'W001' | 'W002' | 'W003';
  /** See `Excess`. */
  readonly excess: boolean;
  constructor(code: WgslError['code'], kernel: string, message: string) {
    super(`${code}: kernel ${kernel} for wgsl: ${message}`);
    this.name = 'WgslError';
    this.code = code;
    this.excess = code === 'W002';
  }
}
