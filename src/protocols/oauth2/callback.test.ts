import { describe, expect, it } from 'vitest';
import type { CallbackSpec } from '../../../catalogue/_spec/index.ts';
import { callbackStateNames, readCallback } from './callback.ts';
import { SPEC } from './testing.ts';

function read(query: string, callback: Partial<CallbackSpec> = {}) {
  return readCallback({ ...SPEC, callback: { ...SPEC.callback, ...callback } }, new URLSearchParams(query));
}

describe('readCallback', () => {
  it('reads code, state and iss', () => {
    expect(read('code=c-1&state=s-1&iss=https%3A%2F%2Flogin.example.com')).toEqual({
      kind: 'code',
      code: 'c-1',
      state: 's-1',
      iss: 'https://login.example.com',
      metadata: {},
    });
  });

  it('reads them under other names', () => {
    expect(
      read('spapi_oauth_code=c-1&customField=s-1', { code: 'spapi_oauth_code', state: 'customField' }),
    ).toMatchObject({
      kind: 'code',
      code: 'c-1',
      state: 's-1',
    });
  });

  it('copies metadata that is there once', () => {
    const query = `code=c&realmId=42&empty=&long=${'x'.repeat(1025)}&twice=1&twice=2&other=1`;
    expect(read(query, { metadata: ['realmId', 'empty', 'long', 'twice', 'absent'] }).metadata).toEqual({
      realmId: '42',
    });
  });

  it('reads a refusal, cleaned', () => {
    expect(read('error=access_denied&error_description=The+user%0D%0Asaid+no&state=s')).toEqual({
      kind: 'refused',
      error: 'access_denied',
      description: 'The user said no',
      state: 's',
      metadata: {},
    });
    const long = read(`error=${'x'.repeat(500)}&error_description=${'y+'.repeat(500)}`);
    if (long.kind !== 'refused') throw new Error(long.kind);
    expect(long.error.length).toBeLessThanOrEqual(100);
    expect(long.description?.length).toBe(300);
  });

  it('lets an error win over a code', () => {
    expect(read('error=access_denied&code=c-1').kind).toBe('refused');
  });

  it.each([
    '',
    'state=s',
    'code=',
    'code=a&code=b',
    'code=a&state=s&state=t',
    'code=a%00b',
    'code=a%0d%0ab',
    'code=%E2%82%AC',
    `code=${'a'.repeat(8193)}`,
    'error=',
  ])('finds %j incomplete', (query) => {
    expect(read(query).kind).toBe('incomplete');
  });

  it('never trusts a state given twice', () => {
    expect(read('code=a&state=s&state=s').state).toBeUndefined();
  });

  it('does not repeat a token in the error', () => {
    const answer = read('error=invalid&error_description=token+8f2c1e9a7b6d5c4f3e2d1c0b+is+bad');
    expect(JSON.stringify(answer)).not.toContain('8f2c1e9a');
  });
});

describe('callbackStateNames', () => {
  it('collects the names over providers', () => {
    const other = { oauth2: { ...SPEC, callback: { ...SPEC.callback, state: 'payload' } } };
    expect(callbackStateNames([{ oauth2: SPEC }, other, {}])).toEqual(['state', 'payload']);
  });
});
