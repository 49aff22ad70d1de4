#!/usr/bin/env node
/** `espalier`: see program.ts. */
import { runCommand } from './run.ts';

// `espalier layers | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
// Nobody hears what goes wrong, and the exit code still says it.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCommand(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  environment: process.env,
  cwd: process.cwd(),
});
