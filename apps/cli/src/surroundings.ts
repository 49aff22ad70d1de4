/** What a command runs in: streams, environment and folder are given to it, so that tests can watch. */

export interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Surroundings {
  readonly out: Stream;
  readonly error: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The folder that relative paths are seen from. */
  readonly cwd: string;
}

/** 0 done; 1 it could not be done, or what was checked is wrong; 2 a mistake in the command line; 130 stopped by Ctrl-C. */
export type ExitCode = 0 | 1 | 2 | 130;
