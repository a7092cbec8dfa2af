import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHawserError } from '../../base/errors.ts';
import { always, answer, createEvil, turns, type Evil } from '../../../test/support/evil.ts';
import { systemClock } from '../clock.ts';
import { checkPeer } from './connector.ts';
import { createUpstream, UpstreamFailure, type Resolver, type Upstream } from './index.ts';
import {
  addressSpellings,
  authorityTricks,
  innerAddresses,
  nameAnswers,
  schemes,
  spellingsOf,
} from './egress-corpus.test-support.ts';

const resolver: Resolver = async (name) => {
  const wanted = Object.entries(nameAnswers).find(
    ([key]) => new URL(`https://${key}/`).hostname.replace(/\.$/, '') === name,
  );
  if (wanted !== undefined) return wanted[1];
  throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
};

function streamOf(upstream: Upstream, url: URL): Promise<UpstreamFailure> {
  return new Promise((resolve, reject) => {
    const unexpected = (): boolean => {
      reject(new Error(`${url.href} was called`));
      return false;
    };
    upstream.stream(
      { method: 'GET', url, headers: {}, headersTimeoutMs: 5000, bodyIdleTimeoutMs: 5000 },
      { onHeaders: unexpected, onData: unexpected, onEnd: () => void unexpected(), onError: resolve },
    );
  });
}

describe('the guard', () => {
  let evil: Evil;
  let evil6: Evil;
  let upstream: Upstream;

  beforeAll(async () => {
    evil = await createEvil(always(answer(200, 'in')));
    evil6 = await createEvil(always(answer(200, 'in')), { host: '::1' });
    upstream = createUpstream({
      policy: () => ({ allow: [] }),
      clock: systemClock,
      userAgent: 'hawser/test',
      resolve: resolver,
    });
  });
  afterAll(async () => {
    await upstream.destroy();
    await evil.close();
    await evil6.close();
  });

  const corpus = [
    ...innerAddresses.flatMap(spellingsOf).map((host) => `https://${host}:PORT/`),
    ...addressSpellings.flatMap((host) => [`https://${host}:PORT/`, `http://${host}:PORT/`]),
    ...Object.keys(nameAnswers).flatMap((host) => [`https://${host}:PORT/`, `http://${host}:PORT/x`]),
    ...authorityTricks,
    ...schemes,
  ];

  it('abuse 13: refuses the whole corpus in check, call and stream without opening one connection', async () => {
    const reached = { parsed: 0, unparsable: 0 };
    for (const template of corpus) {
      for (const port of [evil.port, evil6.port]) {
        const text = template.replace('PORT', String(port));
        if (!URL.canParse(text)) {
          reached.unparsable += 1;
          continue;
        }
        reached.parsed += 1;
        const url = new URL(text);
        const refusal = await upstream.check(url).catch((error: unknown) => error);
        expect(isHawserError(refusal, 'egress_refused'), text).toBe(true);
        if (isHawserError(refusal)) {
          expect(refusal.status).toBe(400);
          expect(refusal.message).toContain('HAWSER_EGRESS_ALLOW');
          expect(refusal.message).not.toContain('hunter2');
        }
        const called = await upstream.call({ method: 'GET', url, headers: {} }).catch((error: unknown) => error);
        expect(called, text).toBeInstanceOf(UpstreamFailure);
        expect(called, text).toMatchObject({ kind: 'egress_refused', code: 'egress_refused', requestSent: false });
        expect(await streamOf(upstream, url), text).toMatchObject({ kind: 'egress_refused', requestSent: false });
      }
    }
    expect(reached.parsed).toBeGreaterThan(400);
    expect(reached.unparsable).toBeLessThan(30);
    expect(evil.connections.length + evil6.connections.length).toBe(0);
  });

  it('names host and port in its sentence, but not the address behind a name', async () => {
    const refusal = await upstream.check(new URL('https://postgres/')).catch((error: unknown) => error);
    if (!isHawserError(refusal)) throw refusal;
    expect(refusal.message).toContain('postgres:443');
    expect(refusal.message).not.toContain('172.18.0.2');
    expect(refusal.detail).toContain('172.18.0.2');
  });

  it('lets public addresses and names pass the check', async () => {
    const open = createUpstream({
      policy: () => ({ allow: [] }),
      clock: systemClock,
      userAgent: 'x',
      resolve: async () => ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
    });
    for (const text of [
      'https://api.example/',
      'https://API.Example.:8443/x?y#z',
      'https://1.1.1.1/',
      'https://[2606:4700::1111]/',
    ]) {
      await expect(open.check(new URL(text))).resolves.toBeUndefined();
    }
    await open.destroy();
  });

  it('tells an unknown name from a refused one', async () => {
    const unknown = await upstream.check(new URL('https://unknown.example/')).catch((error: unknown) => error);
    expect(isHawserError(unknown, 'egress_unresolved')).toBe(true);
    const called = upstream.call({ method: 'GET', url: new URL('https://unknown.example/'), headers: {} });
    await expect(called).rejects.toMatchObject({ kind: 'dns', code: 'ENOTFOUND', requestSent: false });
  });
});

describe('rebinding', () => {
  it('abuse 16: cannot move a name between check and connection', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const programs: string[][][] = [
      [['93.184.215.14'], ['127.0.0.1']],
      [['2606:2800:21f::1'], ['::1'], ['127.0.0.1']],
      [['93.184.215.14'], ['93.184.215.14', '127.0.0.1']],
      [['93.184.215.14'], ['127.0.0.1', '93.184.215.14']],
      [['93.184.215.14', '2606:2800:21f::1'], ['::ffff:127.0.0.1']],
    ];
    for (let round = 0; round < 100; round++) {
      const answers = programs[round % programs.length] as string[][];
      let asked = 0;
      const upstream = createUpstream({
        policy: () => ({ allow: [] }),
        clock: systemClock,
        userAgent: 'x',
        resolve: async () => answers[Math.min(asked++, answers.length - 1)] as string[],
      });
      const url = new URL(`https://rebind-${round}.example:${evil.port}/`);
      await upstream.check(url);
      const called =
        round % 2 === 0
          ? await upstream
              .call({ method: 'GET', url, headers: {}, fresh: round % 4 === 0 })
              .catch((error: unknown) => error)
          : await streamOf(upstream, url);
      expect(called).toMatchObject({ kind: 'egress_refused', requestSent: false });
      expect(asked).toBe(2);
      await upstream.destroy();
    }
    expect(evil.connections).toHaveLength(0);
    await evil.close();
  });

  it('abuse 16: resolves once per connection and goes to the address that was checked', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const other = await createEvil(always(answer(200, 'other')), { host: '127.0.0.2' });
    let asked = 0;
    const upstream = createUpstream({
      policy: () => ({ allow: [`named.example:${evil.port}`] }),
      clock: systemClock,
      userAgent: 'x',
      resolve: async () => {
        asked += 1;
        return asked === 1 ? ['127.0.0.1'] : ['127.0.0.2'];
      },
    });
    const url = new URL(`http://Named.Example.:${evil.port}/`);
    for (let index = 0; index < 3; index++) {
      const response = await upstream.call({ method: 'GET', url, headers: {} });
      expect(response.body.toString()).toBe('in');
      await turns();
    }
    expect(asked).toBe(1);
    expect(evil.connections).toHaveLength(1);
    await upstream.destroy();
    await evil.close();
    await other.close();
  });
});

describe('checkPeer', () => {
  const target = {
    protocol: 'https:',
    hostname: 'a.example',
    port: 443,
    pair: 'a.example:443',
    allowed: false,
  } as const;

  it('abuse 16: takes only an address that was checked and is public', () => {
    expect(() => checkPeer(target, ['93.184.215.14'], '93.184.215.14')).not.toThrow();
    expect(() => checkPeer(target, ['2606:2800:21f:0::1'], '2606:2800:21f::1')).not.toThrow();
    expect(() => checkPeer(target, ['93.184.215.14'], '93.184.215.15')).toThrow(/another address/);
    expect(() => checkPeer(target, ['93.184.215.14'], '::ffff:93.184.215.14')).toThrow(/another address/);
    expect(() => checkPeer(target, ['127.0.0.1'], '127.0.0.1')).toThrow(/not a public address/);
    expect(() => checkPeer({ ...target, allowed: true }, ['127.0.0.1'], '127.0.0.1')).not.toThrow();
    expect(() => checkPeer({ ...target, allowed: true }, ['127.0.0.1'], '127.0.0.2')).toThrow(/another address/);
    expect(() => checkPeer(target, ['93.184.215.14'], undefined)).toThrow(UpstreamFailure);
  });
});
