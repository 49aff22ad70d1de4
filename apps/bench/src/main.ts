/** `pnpm bench`. */
import { benchCommand } from './cli.ts';

// `pnpm bench --list | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
// Nobody hears what goes wrong, and the exit code still says it.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await benchCommand(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  environment: process.env,
});
