import { spawn } from 'node:child_process';
import { errorText, type Log } from '../../../base/log.ts';
import { CHILD_ENV, type Account } from './account.ts';

/**
 * A shell that reads a pipe of ours. Our death, even by SIGKILL, closes the pipe, and the shell stops the postmaster.
 * It runs as the postmaster's user, so that it can harm nothing else.
 */
const SCRIPT = 'read -r word; [ "$word" = done ] || kill -INT "$1" 2>/dev/null';

/** Starts the watchdog of a postmaster; the returned function sends it home. */
export function startWatchdog(postmasterPid: number, account: Account, log: Log): () => void {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'hawser-watchdog', String(postmasterPid)], {
    ...account.spawnAs,
    cwd: '/',
    env: CHILD_ENV,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.once('error', (error) =>
    // Not fatal: the next start stops an orphan as well.
    log.warn('no watchdog: if Hawser is killed, PostgreSQL runs on', { error: errorText(error) }),
  );
  child.stdin.on('error', (error) => log.debug('the watchdog is gone already', { error: errorText(error) }));
  child.unref();
  return () => child.stdin.end('done\n');
}
