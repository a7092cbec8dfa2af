/**
 * A hawser process reduced to its database, for tests that kill it. Reads options as JSON from its first argument, writes
 * one JSON line when up (or when it could not start), ends on a line on its input.
 */
import { createInterface } from 'node:readline';
import { StartupError } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../clock.ts';
import { startEmbeddedPostgres, type EmbeddedOptions } from './start.ts';

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const log = {
  ...silentLog,
  info: (message: string) => say({ log: message }),
  warn: (message: string) => say({ log: message }),
};

try {
  const options = JSON.parse(process.argv[2] ?? '{}') as Pick<EmbeddedOptions, 'dataDir'>;
  const postgres = await startEmbeddedPostgres({
    ...options,
    log,
    clock: systemClock,
    onExit(sentence) {
      say({ exit: sentence });
      process.exitCode = 3;
      input.close();
    },
  });
  say({ url: postgres.url, pid: postgres.pid, cluster: postgres.cluster });
  const input = createInterface({ input: process.stdin });
  input.once('line', () => {
    void postgres.close().then(() => {
      input.close();
      return say({ closed: true });
    });
  });
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  say({ error: error.message, hint: error.hint });
}
