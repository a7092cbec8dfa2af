/** Comparing secrets (threats 2.6, case 25): in constant time, over digests of one length, so that no length throws. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginFlow } from '../support/connect.ts';
import { startMatrix, type Matrix } from '../support/matrix.ts';
import { productSources, projectOf, readProject, type Project } from '../tidy/project.ts';
import { lineAt } from '../tidy/scan.ts';

/** Where a secret is compared at all, and why no length can make it throw. Everything else is looked up by its hash. */
const COMPARES: Record<string, RegExp> = {
  // Both sides are SHA-256: the browser's cookie hashed now, and the hash that was stored.
  'src/features/connect/': /timingSafeEqual\(browser, flow\.browserHash\)/,
  'src/protocols/oauth2/callback-signature.ts': /timingSafeEqual\(digest\(given\[0\] \?\? ''\), digest\(expected\)\)/,
  // 20 bytes each: a part of an HMAC, and 40 hex digits by the form of the URL.
  'src/features/inbound/urls.ts': /timingSafeEqual\(wanted, Buffer\.from\(digits, 'hex'\)\)/,
  // What has not the length of the digest was left out before.
  'src/protocols/webhook-signature/verify.ts': /timingSafeEqual\(one, digest\)/,
  'src/protocols/webhook-signature/same-text.ts': /timingSafeEqual\(hash\(one\), hash\(other\)\)/,
  'src/shell/dev/routes.ts': /timingSafeEqual\(digest\(a\), digest\(b\)\)/,
};

/** Hashes of content that everybody with the content can make: no secrets. */
const PUBLIC = [
  'src/features/functions/plan.ts',
  'src/features/records/write.ts',
  'src/shell/dev/example-functions.ts',
];

/** Two tokens that a provider gave us; nobody presents either of them. */
const GIVEN_TO_US = ['src/features/accounts/settle.ts'];

const SECRET_NAME = String.raw`\w*(?:secret|token|password|signature|hash|digest|cookie|apikey)`;
/** A word for a secret on either side of an equals sign, unless the other side is a constant. */
const PLAIN_COMPARE = new RegExp(
  String.raw`(?<![.\w])(?:\w+\.)*${SECRET_NAME}\s*[!=]==?(?!=)(?!\s*(?:undefined|null|['"]|\d|true|false|typeof))|(?<!['"] )[!=]==?\s*(?:\w+\.)*${SECRET_NAME}\b(?!\s*[.(])`,
  'gi',
);

function problems(project: Project): string[] {
  return productSources(project)
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap(({ path, code, text }) => {
      const where = (at: number): string => `${path}:${lineAt(text, at)}`;
      const calls = [...code.matchAll(/\btimingSafeEqual\(/g)].filter(({ index }) => {
        const allowed = Object.entries(COMPARES).find(([prefix]) => path.startsWith(prefix))?.[1];
        return !(allowed?.test(text.slice(index, index + 80)) ?? false);
      });
      const plain = [...code.matchAll(PLAIN_COMPARE)].filter(({ index }) => {
        const line = code.slice(code.lastIndexOf('\n', index) + 1, code.indexOf('\n', index));
        if (GIVEN_TO_US.includes(path)) return false;
        if (PUBLIC.includes(path) && /\bhash\b/.test(line)) return false;
        return !/typeof|\.length|\bundefined\b/.test(line);
      });
      return [
        ...calls.map(({ index }) => `${where(index)} timingSafeEqual of what may have two lengths`),
        ...plain.map(({ index, 0: found }) => `${where(index)} ${found.trim()}`),
      ];
    });
}

describe('abuse 25: the sources', () => {
  it('abuse 25: secrets are looked up by hash, or compared as digests', () => {
    expect(problems(readProject(fileURLToPath(new URL('../..', import.meta.url))))).toEqual([]);
  });

  it.each([
    'if (timingSafeEqual(Buffer.from(given), Buffer.from(wanted))) return;',
    'if (given === integration.webhookSecret) return;',
    'return token === expected;',
    'if (expectedSignature !== signature) throw refused();',
    'const ok = request.apiKey == row.apiKey || row.passwordHash === given;',
  ])('abuse 25: the check catches %s', (text) => {
    expect(problems(projectOf(new Map([['src/features/a/b.ts', text]])))).not.toEqual([]);
  });

  it.each([
    "if (token === undefined || secret !== '' || kind === 'token') return;",
    'const tokenCount = a === b ? 1 : 2;',
  ])('abuse 25: the check lets pass %s', (text) => {
    expect(problems(projectOf(new Map([['src/features/a/b.ts', text]])))).toEqual([]);
  });
});

describe('abuse 25: lengths', () => {
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix({ settings: { HAWSER_TRUSTED_PROXIES: '127.0.0.0/8, ::1' } });
  });
  afterAll(() => matrix?.close());

  /** 1 byte to 10 kB, and around the length of the right one. */
  function wrongs(right: string): string[] {
    const lengths = [1, 2, 16, 31, 32, 33, 63, 64, 65, 128, 255, 256, 1_000, 4_096, 10_000];
    return [
      ...lengths.map((length) => 'a'.repeat(length)),
      right.slice(0, -1),
      right.slice(1),
      `${right}a`,
      `a${right}`,
      right.repeat(2),
      `${right}\u00e9`,
      [...right].toReversed().join(''),
    ];
  }

  it('abuse 25: a wrong API key of any length is a 401', async () => {
    for (const wrong of wrongs(matrix.dev.key)) {
      const { status } = await matrix.send({ method: 'GET' }, { path: '/connections' }, `Bearer ${wrong}`);
      expect([wrong.length, status]).toEqual([wrong.length, 401]);
    }
  });

  it('abuse 25: a wrong session token of any length is a 401', async () => {
    for (const wrong of wrongs(matrix.dev.session)) {
      const { status } = await matrix.send({ method: 'GET' }, { path: '/connect/session' }, `Bearer ${wrong}`);
      expect([wrong.length, status]).toEqual([wrong.length, 401]);
      const query = { connect_session_token: wrong };
      const started = await matrix.send({ method: 'GET' }, { path: '/oauth/connect/crm', query });
      expect([wrong.length, [400, 401].includes(started.status)]).toEqual([wrong.length, true]);
    }
  });

  it('abuse 25: a wrong cookie of any length is a 400 at the callback', async () => {
    const { cookie } = await beginFlow(matrix.app.url, 'crm', await matrix.newSession(matrix.dev));
    const [name = '', value = ''] = cookie.split('=');
    for (const wrong of wrongs(value)) {
      const flow = await beginFlow(matrix.app.url, 'crm', await matrix.newSession(matrix.dev));
      const state = new URL(flow.location).searchParams.get('state') as string;
      const response = await matrix.send(
        { method: 'GET' },
        { path: '/oauth/callback', query: { state, code: 'x' }, headers: { cookie: `${name}=${wrong}` } },
      );
      expect([wrong.length, response.status]).toEqual([wrong.length, 400]);
    }
  });

  it('abuse 25: a wrong dashboard password of any length is a 401', async () => {
    const ask = async (credential: string): Promise<number> => {
      const authorization = `Basic ${Buffer.from(credential).toString('base64')}`;
      const call = { path: '/', headers: { 'x-forwarded-for': '203.0.113.1' } };
      return (await matrix.send({ method: 'GET' }, call, authorization)).status;
    };
    const right = 'hawser:a password of a test';
    for (const wrong of wrongs(right)) expect([wrong.length, await ask(wrong)]).toEqual([wrong.length, 401]);
    expect(await ask(right)).toBe(200);
  });
});
