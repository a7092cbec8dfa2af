import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HawserError } from '../../base/errors.ts';
import { readBrowserQuery } from './query.ts';

function issuesOf(query: unknown): unknown[] {
  try {
    readBrowserQuery(query);
  } catch (error) {
    return (error as HawserError).errors?.map((issue) => issue.path) ?? [];
  }
  return [];
}

describe('readBrowserQuery', () => {
  it('reads the form of the published client, flat or nested', () => {
    const expected = {
      token: 't',
      publicKey: undefined,
      params: { subdomain: 'acme' },
      authorizationParams: { prompt: 'none' },
      clientOverride: { clientId: 'i', clientSecret: 's' },
      wsClientId: undefined,
      returnTo: undefined,
    };
    const flat = {
      connect_session_token: 't',
      'params[subdomain]': 'acme',
      'authorization_params[prompt]': 'none',
      'credentials[oauth_client_id_override]': 'i',
      'credentials[oauth_client_secret_override]': 's',
    };
    const nested = {
      connect_session_token: 't',
      params: { subdomain: 'acme' },
      authorization_params: { prompt: 'none' },
      credentials: { oauth_client_id_override: 'i', oauth_client_secret_override: 's' },
    };
    expect(readBrowserQuery(flat)).toEqual(expected);
    expect(readBrowserQuery(nested)).toEqual(expected);
  });

  it.each([
    [{ evil: '1' }, [['evil']]],
    [{ params: 'x' }, [['params']]],
    [{ 'params[a]': ['1', '2'] }, [['params', 'a']]],
    [{ connect_session_token: ['a', 'b'] }, [['connect_session_token']]],
    [{ 'params[__proto__]': 'x' }, [['params', '__proto__']]],
    [{ 'params[a b]': 'x' }, [['params', 'a b']]],
    [{ 'params[]': 'x' }, [['params', '']]],
    [{ ws_client_id: 'mine' }, [['ws_client_id']]],
    [{ 'params[a]': 'x'.repeat(3_000) }, [['params', 'a']]],
    [{ connection_id: 'mine' }, [['connection_id']]],
    [{ 'params[a]': 'x\0y' }, [['params', 'a']]],
    [Object.fromEntries(Array.from({ length: 41 }, (_, i) => [`params[a${i}]`, 'x'])), [[]]],
  ])('refuses %j', (query, paths) => {
    expect(issuesOf(query)).toEqual(paths);
  });

  it('answers any object with a result or a typed refusal', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (query) => {
        try {
          readBrowserQuery(query);
        } catch (error) {
          expect(error).toBeInstanceOf(HawserError);
          expect((error as HawserError).code).toBe('invalid_query_params');
        }
      }),
    );
  });

  it('needs both halves of the customer’s own client', () => {
    expect(readBrowserQuery({ 'credentials[oauth_client_id_override]': 'i' }).clientOverride).toBeUndefined();
  });
});
