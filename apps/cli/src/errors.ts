/** Errors of use: what the person at the terminal can correct. They end the program with exit code 2. */
import type { DiagnosticError } from '@espalier/ir';

/** Every code with the situation it stands for. A code never changes its meaning. */
export const usageErrorCodes = {
  U001: 'an unknown command or option, or an argument too many or too few',
  U002: 'a target that nobody provides',
  U003: 'a module that holds no target',
  U004: 'a layer that is not there',
  U005: 'a value that cannot be read, or for a name that the layer lacks',
  U006: 'dims that need a value',
  U007: 'a pass or kernel that does not exist',
  U008: 'a schedule file that cannot be read',
  U009: 'a folder that cannot be written',
  U010: 'a capability that no target has, or a value it cannot take',
  U011: 'a command whose package is not installed',
  U012: 'a tuning file that cannot be read, or is for another target or other capabilities',
} as const;

export type UsageErrorCode = keyof typeof usageErrorCodes;

/** What was asked cannot be done; the message says what, and the hint how to do it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code: UsageErrorCode;
  readonly hint: string;

  constructor(code: UsageErrorCode, detail: string, hint: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.hint = hint;
  }
}

/** A layer that was found and is wrong: the diagnostics of its text, and how it is called. */
export class LayerProblem extends Error {
  override readonly name = 'LayerProblem';
  readonly found: DiagnosticError;
  /** "ff(T, D, H, O; activation = gelu)", or null where the text has no layer to call. */
  readonly signature: string | null;

  constructor(found: DiagnosticError, signature: string | null) {
    super(found.message, { cause: found });
    this.found = found;
    this.signature = signature;
  }
}
