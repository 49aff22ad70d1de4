#!/usr/bin/env node
/** `pnpm validate`: see cli/help.ts. */
import { runCommand } from './cli/run.ts';

// `validate --verbose | head` closes the pipe early: that is no error, and the files and the exit code are still to come.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

process.exitCode = await runCommand(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  environment: process.env,
});
