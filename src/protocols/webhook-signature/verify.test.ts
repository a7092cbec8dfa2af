import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../catalogue/index.ts';
import type { WebhookHmac } from '../../../catalogue/_spec/index.ts';
import { isForm, signWebhook } from '../../../test/support/sign-webhook.ts';
import { verifyWebhook, type WebhookRequest } from './verify.ts';

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const URL = 'https://hooks.example/webhook/e/k';
const SECRET = 'a secret of ours';
const FORM = 'id=66aa00000000000000000001&type=report.completed&n=1+2&n=%2B';
const BODY = '{"id":"66aa00000000000000000001","type":"report.completed","n":[1, 2]}';

interface Made {
  headers: Record<string, string>;
  body: Buffer;
}

/** Signs as the provider would. */
function sign(spec: WebhookHmac, secret = SECRET, atMs = NOW_MS, body = isForm(spec) ? FORM : BODY): Made {
  return { headers: signWebhook(spec, { secret, atMs, body, url: URL }), body: Buffer.from(body) };
}

/** Where the signature stands. */
const headerOf = (spec: WebhookHmac): string => spec.headers.at(-1) as string;

const requestOf = ({ headers, body }: Made): WebhookRequest => ({
  method: 'POST',
  url: URL,
  headers,
  body,
  nowMs: NOW_MS,
});

/** The digest inside a header, changed. */
function withDigest(spec: WebhookHmac, made: Made, change: (digest: string) => string): Made {
  const name = headerOf(spec);
  const value = made.headers[name] as string;
  const start =
    spec.parts === undefined
      ? (spec.prefix ?? '').length
      : value.lastIndexOf(`${spec.parts.signature}=`) + spec.parts.signature.length + 1;
  return { ...made, headers: { ...made.headers, [name]: value.slice(0, start) + change(value.slice(start)) } };
}

const flip = (digest: string): string =>
  (digest.startsWith('A') || digest.startsWith('a') ? 'b' : 'a') + digest.slice(1);

/** Eleven ways in which a good request is no longer one. */
const MUTATIONS: [name: string, make: (spec: WebhookHmac, good: Made) => Made][] = [
  ['the signature is missing', (_spec, good) => ({ ...good, headers: {} })],
  ['the signature is empty', (spec, good) => ({ ...good, headers: { ...good.headers, [headerOf(spec)]: '' } })],
  ['a sentence stands in its place', (spec, good) => ({ ...good, headers: { ...good.headers, [headerOf(spec)]: 'Please create an API key to check the authenticity of our webhooks.' } })], // prettier-ignore
  ['one digit is another', (spec, good) => withDigest(spec, good, flip)],
  ['it is cut short', (spec, good) => withDigest(spec, good, (digest) => digest.slice(0, -2))],
  ['it is 10 kB long', (spec, good) => withDigest(spec, good, (digest) => digest + 'a'.repeat(10_000))],
  ['it is written otherwise', (spec, good) => withDigest(spec, good, (digest) => (spec.encoding === 'hex' ? digest.toUpperCase() : Buffer.from(digest, 'base64').toString('hex')))], // prettier-ignore
  ['one byte of the body is another', (_spec, good) => ({ ...good, body: Buffer.from(String(good.body).replace('66aa', '66ab')) })], // prettier-ignore
  // Of a form the fields are signed, not how they are written.
  ['the body is written anew', (spec, good) => ({ ...good, body: Buffer.from(isForm(spec) ? `${FORM}&n=3` : JSON.stringify(JSON.parse(BODY))) })], // prettier-ignore
  ['another secret made it', (spec) => sign(spec, 'somebody else’s')],
  ['the body is empty', (_spec, good) => ({ ...good, body: Buffer.alloc(0) })],
];

const schemes = [...catalogue.values()].flatMap((entry) =>
  entry.webhooks?.verify.kind === 'hmac' ? [[entry.name, entry.webhooks.verify] as const] : [],
);

it('knows the schemes that are promised', () => {
  const names = schemes.map(([name]) => name);
  expect(names).toEqual(
    expect.arrayContaining(['checkr-partner', 'checkr-partner-staging', 'checkbook', 'checkbook-sandbox', 'xref', 'github', 'slack', 'stripe', 'shopify', 'quickbooks', 'box', 'zendesk', 'docusign', 'notion', 'twitter', 'twilio', 'trello', 'tiktok', 'ashby']), // prettier-ignore
  );
  expect(MUTATIONS).toHaveLength(11);
});

describe.each(schemes)('abuse 31: %s', (_name, spec) => {
  const good = sign(spec);

  it('takes a good request, with any of the secrets', () => {
    expect(verifyWebhook(spec, requestOf(good), [SECRET])).toBe('right');
    expect(verifyWebhook(spec, requestOf(good), ['an old one', SECRET])).toBe('right');
  });

  it.each(MUTATIONS)('refuses it when %s', (_what, make) => {
    const changed = make(spec, good);
    const expected = (changed.headers[headerOf(spec)] ?? '') === '' ? 'missing' : 'wrong';
    const verdict = verifyWebhook(spec, requestOf(changed), [SECRET]);
    expect(['missing', 'wrong']).toContain(verdict);
    if (expected === 'missing') expect(verdict).toBe('missing');
  });

  it('refuses it without any secret of ours', () => {
    expect(verifyWebhook(spec, requestOf(good), [])).toBe('wrong');
  });

  it.runIf(spec.timestamp !== undefined)('abuse 32: refuses it when its time is over, on either side', () => {
    const toleranceMs = (spec.timestamp?.toleranceSeconds ?? 0) * 1_000;
    const at = (offsetMs: number) => verifyWebhook(spec, requestOf(sign(spec, SECRET, NOW_MS + offsetMs)), [SECRET]);
    expect([at(-toleranceMs), at(toleranceMs)]).toEqual(['right', 'right']);
    expect([at(-toleranceMs - 1_000), at(toleranceMs + 1_000)]).toEqual(['wrong', 'wrong']);
    const header = spec.timestamp?.header;
    if (header !== undefined) {
      for (const text of ['', 'yesterday', '1e12', '-1', '9'.repeat(50)]) {
        const changed = { ...good, headers: { ...good.headers, [header]: text } };
        expect(verifyWebhook(spec, requestOf(changed), [SECRET])).toBe('wrong');
      }
    }
  });
});

describe('vectors that others have made', () => {
  const specOf = (name: string) => catalogue.get(name)?.webhooks?.verify as WebhookHmac;
  const verdict = (name: string, headers: Record<string, string>, body: string, key: string, nowMs = NOW_MS) =>
    verifyWebhook(specOf(name), { method: 'POST', url: URL, headers, body: Buffer.from(body), nowMs }, [key]);

  it.each([
    [
      'test-secret',
      '{"monday":"75F","tuesday":"80F"}',
      'b7412f05e981a473b5ecbdb5393afaea02a679db6d7c8e56803512ec4ba98151',
    ],
    ['emu-client-secret', '{"id":"66aa00000000000000000001","object":"event","type":"token.deauthorized","created_at":"2024-08-01T00:00:00Z","data":{"object":{"access_code":"emu_tok_0001"}},"account_id":"66aa000000000000000000ff"}', '94286d4fba484417f55322c1827dff5faf9626dc35efe8ad7d1c4eb76600dac0'], // prettier-ignore
  ])('Checkr, key %s', (key, body, digest) => {
    expect(verdict('checkr-partner', { 'x-checkr-signature': digest }, body, key)).toBe('right');
    expect(verdict('checkr-partner-staging', { 'x-checkr-signature': digest }, body, key)).toBe('right');
  });

  it.each([
    ['335b5728e25b47e88995fce207bff380', '{"status": "PAID", "id": "ed0af5fb335c47dd8eb53199ba50f5c4", "type": "CHECK"}', '1243549809', '4ee9758fc0bceb3ca1a2fe397fbd125364cfffdb04296fa118dab9778a4b3ce3'], // prettier-ignore
    ['emu-webhook-key', '{"id": "0123456789abcdef0123456789abcdef", "status": "VOID", "type": "CHECK"}', '1700000000', '2b3d27011e29ab52c37b3bd37d0755b241163af4195a5666518619140a022a0f'], // prettier-ignore
  ])('Checkbook, key %s', (key, body, nonce, digest) => {
    const header = (one: string) => ({ signature: `nonce=${one},signature=${digest}` });
    expect(verdict('checkbook', header(nonce), body, key)).toBe('right');
    expect(verdict('checkbook', header('1'), body, key)).toBe('wrong');
    expect(verdict('checkbook', { signature: `signature=${digest}` }, body, key)).toBe('wrong');
    expect(verdict('checkbook', { signature: `nonce=${nonce},nonce=${nonce},signature=${digest}` }, body, key)).toBe('wrong'); // prettier-ignore
  });

  it('GitHub, as its guide has it', () => {
    const headers = {
      'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    };
    expect(verdict('github', headers, 'Hello, World!', "It's a Secret to Everybody")).toBe('right');
  });

  it('Box, as its SDKs test it: either key will do', () => {
    const headers = {
      'box-delivery-timestamp': '2020-01-01T00:00:00-07:00',
      'box-signature-primary': '6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=',
      'box-signature-secondary': 'v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=',
    };
    const body =
      '{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED","source":{"id":"1234567890","type":"file","name":"Test.txt"}}';
    const atMs = Date.parse('2020-01-01T07:05:00Z');
    for (const key of ['SamplePrimaryKey', 'SampleSecondaryKey'])
      expect(verdict('box', headers, body, key, atMs)).toBe('right');
    expect(verdict('box', headers, body, 'another', atMs)).toBe('wrong');
    expect(verdict('box', headers, body, 'SamplePrimaryKey', atMs + 600_000)).toBe('wrong');
  });

  describe('Twilio', () => {
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
    const form = 'To=%2B18005551212&From=%2B14158675309&Digits=1234&CallSid=CA1234567890ABCDE&Caller=%2B14158675309';
    const call = (more: Partial<WebhookRequest>) =>
      verifyWebhook(
        specOf('twilio'),
        {
          method: 'POST',
          url,
          headers: {
            'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=',
            'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
          },
          body: Buffer.from(form),
          nowMs: NOW_MS,
          ...more,
        },
        ['12345'],
      );

    it('as its guide has it, in any order of the fields', () => {
      expect(call({})).toBe('right');
      expect(call({ body: Buffer.from(form.split('&').toReversed().join('&')) })).toBe('right');
      expect(call({ url: `${url}&more=1` })).toBe('wrong');
    });

    const json = '{"event":"x"}';
    const hash = createHash('sha256').update(json).digest('hex');
    const signed = `${url}&bodySHA256=${hash}`;
    const headers = {
      'x-twilio-signature': createHmac('sha1', '12345').update(signed).digest('base64'),
      'content-type': 'application/json',
    };

    it.each<[what: string, proof: string, more: Partial<WebhookRequest>]>([
      ['by the hash of another body', 'right', { url: signed, headers, body: Buffer.from(json) }],
      ['but not of a changed one', 'wrong', { url: signed, headers, body: Buffer.from('{}') }],
      ['nor without the hash', 'wrong', { url, headers, body: Buffer.from(json) }],
      ['nor as a form without fields', 'wrong', { url: signed, headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body: Buffer.alloc(0) }], // prettier-ignore
      ['nor with a thousand fields', 'wrong', { url, headers: { 'x-twilio-signature': createHmac('sha1', '12345').update(`${url}a1`).digest('base64'), 'content-type': 'application/x-www-form-urlencoded' }, body: Buffer.from('a=1&'.repeat(1_001)) }], // prettier-ignore
    ])('%s', (_what, proof, more) => {
      expect(call(more)).toBe(proof);
    });
  });

  it('Slack, as its guide has it', () => {
    const headers = {
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      'x-slack-request-timestamp': '1531420618',
    };
    const body =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
    expect(verdict('slack', headers, body, '8f742231b10e8888abcd99yyyzzz85a5', 1_531_420_618_000)).toBe('right');
  });
});

describe('a shared secret that comes along', () => {
  const spec = {
    kind: 'token',
    in: { headers: ['x-token'], paths: ['value.clientState'] },
    secrets: ['integration'],
  } as const;
  const verdict = (headers: Record<string, string>, parsed?: unknown) =>
    verifyWebhook({ ...spec, in: { headers: ['x-token'], paths: ['value.clientState'] }, secrets: ['integration'] }, { ...requestOf({ headers, body: Buffer.alloc(0) }), parsed }, [SECRET]); // prettier-ignore

  it('must be right wherever it stands', () => {
    expect(verdict({ 'x-token': SECRET })).toBe('right');
    expect(verdict({ 'x-token': `${SECRET}x` })).toBe('wrong');
    expect(verdict({})).toBe('missing');
    expect(verdict({}, { value: [{ clientState: SECRET }, { clientState: SECRET }] })).toBe('right');
    expect(verdict({}, { value: [{ clientState: SECRET }, { clientState: 'other' }] })).toBe('wrong');
  });
});
