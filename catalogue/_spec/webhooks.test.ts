import { describe, expect, it } from 'vitest';
import slack from '../slack.ts';
import { checkProvider } from './check.ts';
import type { ProviderSpec, WebhookHmac, WebhooksSpec } from './index.ts';

const PROOF: WebhookHmac = {
  kind: 'hmac',
  headers: ['x-signature'],
  algorithm: 'sha256',
  encoding: 'hex',
  parts: { signature: 'v1', timestamp: 't', nonce: 'n' },
  signed: '${timestamp}.${nonce}.${body}',
  timestamp: { unit: 'seconds', toleranceSeconds: 300 },
  secrets: ['integration', 'client'],
};

const GOOD: WebhooksSpec = {
  verify: PROOF,
  type: { paths: ['type'] },
  id: { headers: ['x-id'] },
  route: [
    { events: ['ended'], from: { paths: ['token'] }, by: 'token' },
    { from: { paths: ['team'] }, by: 'account' },
  ],
  meanings: { ended: 'deauthorized' },
  setup: 'Set it up.',
};

const problems = (webhooks: unknown, more: Partial<ProviderSpec> = {}) =>
  checkProvider({ ...slack, ...more, webhooks }, { fileName: 'slack' });

describe('webhooks of a provider file', () => {
  it('are fine as they are', () => {
    expect(problems(GOOD)).toEqual([]);
    const { meanings: _none, ...rest } = GOOD;
    expect(problems({ ...rest, verify: { kind: 'none' }, route: 'all' })).toEqual([]);
  });

  it.each<[what: string, webhooks: unknown, problem: RegExp]>([
    ['an unknown knob', { ...GOOD, extra: 1 }, /webhooks: [Uu]nrecognized key/],
    ['a header in capitals', { ...GOOD, verify: { ...PROOF, headers: ['X-Signature'] } }, /in lower case/],
    ['an unknown hole', { ...GOOD, verify: { ...PROOF, signed: '${timestamp}${nonce}${body}${path}' } }, /there is no \$\{path\}/], // prettier-ignore
    [
      'a body that is not signed',
      { ...GOOD, verify: { ...PROOF, signed: '${timestamp}${nonce}' } },
      /either the body or the form/,
    ],
    ['a form whose other bodies are not signed', { ...GOOD, verify: { ...PROOF, signed: '${timestamp}${nonce}${form}' } }, /only when other bodies/], // prettier-ignore
    ['a hash of a body that is signed', { ...GOOD, verify: { ...PROOF, bodyHashParam: 'hash' } }, /only when other bodies/], // prettier-ignore
    ['an id that says nothing', { ...GOOD, repeats: true }, /known again by it/],
    ['a time without a window', { ...GOOD, verify: { ...PROOF, timestamp: undefined } }, /has a tolerance/],
    ['a window without a time', { ...GOOD, verify: { ...PROOF, signed: '${nonce}${body}' } }, /has a tolerance/],
    ['a nonce that is not signed', { ...GOOD, verify: { ...PROOF, signed: '${timestamp}${body}' } }, /parts.nonce/],
    ['a lookup that is none', { ...GOOD, route: [{ from: { paths: ['a'] }, by: 'name' }] }, /webhooks.route/],
    ['a field that is not declared', { ...GOOD, route: [{ from: { paths: ['a'] }, by: 'connectionConfig.shop' }] }, /no connectionConfig field "shop"/], // prettier-ignore
    ['two rules for the rest', { ...GOOD, route: [...GOOD.route, { from: { paths: ['a'] }, by: 'account' }] }, /only one rule/], // prettier-ignore
    ['a rule that looks nowhere', { ...GOOD, route: [{ from: {}, by: 'account' }] }, /names no place/],
    ['a type that is nowhere', { ...GOOD, type: {} }, /webhooks.type: names no place/],
    [
      'an end that names nobody',
      { ...GOOD, route: [], meanings: { left: 'deauthorized' } },
      /names its token, its account/,
    ],
    ['an end that metadata names', { ...GOOD, route: [{ from: { paths: ['a'] }, by: 'metadata.a' }], meanings: { left: 'deauthorized' } }, /names its token, its account/], // prettier-ignore
    ['an end by account that nothing signs', { ...GOOD, verify: { kind: 'none' }, meanings: { left: 'deauthorized' } }, /has to be signed/], // prettier-ignore
    ['an end that a header names', { ...GOOD, route: [{ from: { headers: ['x-a'] }, by: 'account' }], meanings: { left: 'deauthorized' } }, /headers are not signed/], // prettier-ignore
    ['a list of what is not declared', { ...GOOD, meanings: { left: { is: 'deauthorized', lists: [{ path: 'a', config: 'shop' }] } } }, /no connectionConfig field "shop"/], // prettier-ignore
    ['a time that is nowhere', { ...GOOD, at: { in: {}, unit: 'date' } }, /webhooks.at: names no place/],
    ['meanings without types', { ...GOOD, type: undefined }, /needs a type/],
  ])('are refused with %s', (_what, webhooks, problem) => {
    expect(problems(webhooks).join('\n')).toMatch(problem);
  });

  it('need what the mode has', () => {
    const noAccount: Partial<ProviderSpec> = { account: undefined as never };
    expect(problems(GOOD, noAccount).join('\n')).toMatch(/the entry has no `account`/);
    const key: Partial<ProviderSpec> = { authMode: 'API_KEY' };
    expect(problems(GOOD, key).join('\n')).toMatch(/authMode API_KEY has no client secret/);
  });
});
