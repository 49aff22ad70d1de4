/** What a person can correct: a commit that isn't there, packages that aren't installed. */

/** The message says what is wrong, the hint what to do. Ends the program with exit code 2. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
  readonly hint: string;

  constructor(detail: string, hint: string, options?: ErrorOptions) {
    super(detail, options);
    this.hint = hint;
  }
}
