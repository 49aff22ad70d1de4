/** Errors of use and input: what the person at the terminal can correct. They end the program with exit code 2. */

/** Every code with the situation it stands for. */
export const usageErrorCodes = {
  V001: 'an unknown option, or a value that an option does not take',
  V002: 'a target that nobody provides',
  V003: 'golden data that does not fit the checkpoint',
  V004: 'texts for a checkpoint that cannot read them',
  V005: 'a repro file that cannot be read',
  V006: 'a file or folder that cannot be written',
  V007: 'an option that needs another, or contradicts it',
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
