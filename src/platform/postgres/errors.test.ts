import { describe, expect, it } from 'vitest';
import { errors, isConnectionLoss, translate } from './errors.ts';

/** An error as the driver throws it. */
function driverError(code: string | undefined, message = 'something'): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

describe('translate', () => {
  it.each([
    ['57014', 'database_busy'], // statement timeout
    ['53300', 'database_busy'], // too many connections
    ['40001', 'database_busy'], // serialization failure
    ['40P01', 'database_busy'], // deadlock
    ['53100', 'database_full'], // disk full
    ['53200', 'database_full'], // out of memory
    ['57P01', 'database_unavailable'], // administrator's shutdown
    ['57P02', 'database_unavailable'], // crash of another backend
    ['57P03', 'database_unavailable'], // starting up
    ['25006', 'database_unavailable'], // read-only: a failover left us behind
    ['08006', 'database_unavailable'],
    ['ECONNREFUSED', 'database_unavailable'],
    ['ECONNRESET', 'database_unavailable'],
    ['ENOTFOUND', 'database_unavailable'],
  ])('turns %s into %s, to be retried', (code, ours) => {
    const error = driverError(code);
    expect(translate(error)).toMatchObject({ code: ours, status: 503, retryable: true, cause: error });
  });

  it('names missing rights, which no retry mends', () => {
    expect(translate(driverError('42501'))).toMatchObject({ code: 'database_rights_missing', retryable: false });
  });

  it.each([
    ['Connection terminated unexpectedly', 'database_unavailable'],
    ['Connection terminated due to connection timeout', 'database_unavailable'],
    ['Query read timeout', 'database_unavailable'],
    ['timeout exceeded when trying to connect', 'database_busy'],
  ])("knows the driver's own '%s'", (message, ours) => {
    expect(translate(driverError(undefined, message))).toMatchObject({ code: ours });
  });

  it.each(['23505', '23503', '42P01', '55P03', '22P02'])('leaves %s to the caller', (code) => {
    const error = driverError(code);
    expect(translate(error)).toBe(error);
    expect(isConnectionLoss(error)).toBe(false);
  });

  it('leaves what is ours already, and what is no database error at all', () => {
    const own = errors.fail('database_commit_unknown');
    const other = new TypeError('x is not a function');
    expect(translate(own)).toBe(own);
    expect(translate(other)).toBe(other);
    expect(translate('text')).toBe('text');
  });
});
