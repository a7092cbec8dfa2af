import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Log, LogFields } from '../../base/log.ts';

/** `pretty` for a person at a terminal, `json` for everything else. Lines go to standard error. */
export function createLog(options: { level: string; format: 'pretty' | 'json' }): Log {
  const destination =
    options.format === 'pretty'
      ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
      : pino.destination({ dest: 2, sync: false });
  return wrap(pino({ level: options.level, base: undefined }, destination));
}

function wrap(logger: Logger): Log {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void =>
      logger[level](fields ?? {}, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(fields)),
  };
}
