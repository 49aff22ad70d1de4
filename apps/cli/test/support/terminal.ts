/** A terminal made of strings: the command runs in this process, and what it says is kept. */
import { runCommand } from '../../src/run.ts';

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export interface TerminalOptions {
  readonly cwd?: string;
  readonly tty?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs a command line, words separated by single spaces. */
export async function espalier(line: string, options: TerminalOptions = {}): Promise<Said> {
  const said = { out: '', error: '' };
  const stream = (key: 'out' | 'error') => ({
    isTTY: options.tty ?? false,
    columns: 100,
    write: (text: string) => {
      said[key] += text;
      return true;
    },
  });
  const code = await runCommand(
    line.split(' ').filter((word) => word !== ''),
    {
      out: stream('out'),
      error: stream('error'),
      environment: options.environment ?? {},
      cwd: options.cwd ?? import.meta.dirname,
    },
  );
  return { code, ...said };
}
