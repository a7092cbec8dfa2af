import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHawserError } from '../../base/errors.ts';
import { always, answer, createEvil, turns, until, type Evil } from '../../../test/support/evil.ts';
import { systemClock } from '../clock.ts';
import { checkPeer } from './connector.ts';
import { compileAllow, normalizePair, readTarget, resolveTarget } from './egress.ts';
import { createUpstream, UpstreamFailure, type Resolver, type Upstream } from './index.ts';

/** Ways to write loopback and other inner addresses as a host. `PORT` is EVIL's. */
const addressSpellings = `
127.0.0.1 127.1 127.0.1 127.255.255.254 0177.0.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 017700000001 2130706433 0177.0.0.01
00000177.0.0.1 0x7F.0x0.0x0.0x1 127.0.0.1. 127.000.000.001 ①②⑦.0.0.1 １２７.0.0.1 127。0。0。1 127．0．0．1 0 0.0.0.0 0x0 00 0.1
%31%32%37.0.0.1 127.0.0.%31 10.0.0.1 10.1 0xa.1 012.1 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 169.254.169.254
0xa9fea9fe 2852039166 0251.0376.0251.0376 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7
203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 0xffffffff 168.63.129.16
[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:127.0.0.1] [0:0:0:0:0:ffff:7f00:1]
[::127.0.0.1] [::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]
[2001:0:7f00:1::] [2001::80ff:fffe] [fc00::1] [fd00:ec2::254] [fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1] [100::1]
[2001:db8::1] [3fff::1] [5f00::1] [::ffff:0:127.0.0.1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [64:ff9b::a9fe:a9fe]
`
  .trim()
  .split(/\s+/);

const innerAddresses = ['127.0.0.1', '10.1.2.3', '169.254.169.254', '172.16.0.1', '192.168.1.1', '100.64.0.1'];

/** The ways in which libraries have written or read one IPv4 address. */
function spellingsOf(address: string): string[] {
  const bytes = address.split('.').map(Number) as [number, number, number, number];
  const whole = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const [hex, octal] = [16, 8].map((base) => bytes.map((byte) => byte.toString(base))) as [string[], string[]];
  const hex32 = whole.toString(16).padStart(8, '0');
  const groups = `${hex32.slice(0, 4)}:${hex32.slice(4)}`;
  return [
    address,
    `${address}.`,
    `${whole}`,
    `0x${hex32}`,
    `0${whole.toString(8)}`,
    hex.map((byte) => `0x${byte}`).join('.'),
    octal.map((byte) => `0${byte}`).join('.'),
    octal.map((byte) => `0000${byte}`).join('.'),
    `0x${hex[0]}.${bytes[1]}.0${octal[2]}.${bytes[3]}`,
    `${bytes[0]}.${whole % 2 ** 24}`,
    `${bytes[0]}.${bytes[1]}.${whole % 2 ** 16}`,
    address.replaceAll(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    address.replaceAll('.', '。'),
    [...address].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(''),
    ...['::ffff:', '::', '64:ff9b::', '64:ff9b:1::', '::ffff:0:'].map((prefix) => `[${prefix}${address}]`),
    `[::ffff:${groups}]`,
    `[2002:${groups}::]`,
    `[2001:0:${groups}::1]`,
  ];
}

/** Names that lead inside: what the resolver of the test says about each. */
const nameAnswers: Record<string, string[]> = {
  localhost: ['127.0.0.1', '::1'],
  'LOCALHOST.': ['127.0.0.1'],
  'sub.localhost': ['127.0.0.1'],
  'localhost.localdomain': ['127.0.0.1'],
  'ip6-localhost': ['::1'],
  'metadata.google.internal': ['169.254.169.254'],
  'metadata.google.internal.': ['169.254.169.254'],
  metadata: ['169.254.169.254'],
  'instance-data.ec2.internal': ['169.254.169.254'],
  'kubernetes.default.svc': ['10.96.0.1'],
  postgres: ['172.18.0.2'],
  '127.0.0.1.nip.io': ['127.0.0.1'],
  '7f000001.nip.io': ['127.0.0.1'],
  'localtest.me': ['127.0.0.1', '::1'],
  'mixed.example': ['93.184.215.14', '127.0.0.1'],
  'mixed-last.example': ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'zone.example': ['fe80::1%lo'],
  'garbage.example': ['127.0.0.1\0'],
  'octal.example': ['0177.0.0.1'],
  'xn--bcher-kva.example': ['127.0.0.1'],
  'bücher.example': ['127.0.0.1'],
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ': ['127.0.0.1'],
  'under_score.example': ['10.0.0.1'],
  'flood.example': Array.from({ length: 65 }, () => '93.184.215.14'),
};

/** Tricks with the part before the path. Each goes to EVIL if it is misread. */
const authorityTricks = [
  'https://user@127.0.0.1:PORT/',
  'https://user:hunter2@public.example/',
  'https://:hunter2@public.example/',
  'https://public.example@127.0.0.1:PORT/',
  'https://public.example:443@127.0.0.1:PORT/',
  'https://public.example%40127.0.0.1:PORT/',
  'https://127.0.0.1:PORT\\@public.example/',
  'https://127.0.0.1:PORT/@public.example/',
  'https://127.0.0.1:PORT#@public.example/',
  'https://127.0.0.1:PORT?@public.example/',
  'https:\\\\127.0.0.1:PORT\\',
  'https:127.0.0.1:PORT/',
  'https:///127.0.0.1:PORT/',
  'https:////127.0.0.1:PORT/',
  'ht\ntps://127.0.0.1:PORT/',
  ' https://127.0.0.1:PORT/ ',
  'https://127.0\t.0.1:PORT/',
  'https://127.0.0.1:0/',
  'https://public.example:0/',
  'https://127.0.0.1:00PORT/',
  'http://public.example/',
  'http://public.example:443/',
  'http://93.184.215.14/',
];

const schemes = [
  'file:///etc/passwd',
  'ftp://127.0.0.1:PORT/',
  'gopher://127.0.0.1:PORT/_x',
  'ws://127.0.0.1:PORT/',
  'wss://127.0.0.1:PORT/',
  'data:text/plain,x',
  'javascript:alert(1)',
  'blob:https://127.0.0.1:PORT/x',
  'about:blank',
  'unix:/var/run/docker.sock',
  'http+unix://%2Fvar%2Frun%2Fdocker.sock/x',
  'view-source:https://127.0.0.1:PORT/',
  'jar:https://127.0.0.1:PORT!/x',
  'dict://127.0.0.1:PORT/',
  'ldap://127.0.0.1:PORT/',
  'urn:x',
  'HTTPS+x://127.0.0.1:PORT/',
];

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

describe('the allow-list', () => {
  it('covers no other address than the one that was resolved: the system turns 0.0.0.0 into loopback', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const upstream = createUpstream({
      policy: () => ({ allow: [`zero.example:${evil.port}`] }),
      clock: systemClock,
      userAgent: 'x',
      resolve: async () => ['0.0.0.0'],
    });
    const url = new URL(`http://zero.example:${evil.port}/`);
    await expect(upstream.call({ method: 'GET', url, headers: {} })).rejects.toMatchObject({
      kind: 'egress_refused',
      message: expect.stringContaining('another address') as string,
    });
    await until(() => evil.connections.length === 1);
    await evil.connections[0]?.closed;
    expect(evil.connections[0]?.received().length).toBe(0);
    await upstream.destroy();
    await evil.close();
  });

  it('abuse 13: is exact in host and port, whatever the name resolves to', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const call = async (allow: string, text: string): Promise<string> => {
      const upstream = createUpstream({
        policy: () => ({ allow: [allow.replace('PORT', String(evil.port))] }),
        clock: systemClock,
        userAgent: 'x',
        resolve: async () => ['127.0.0.1'],
      });
      try {
        const url = new URL(text.replace('PORT', String(evil.port)));
        return (await upstream.call({ method: 'GET', url, headers: {} })).body.toString();
      } catch (error) {
        if (error instanceof UpstreamFailure) return error.kind;
        throw error;
      } finally {
        await upstream.destroy();
      }
    };
    for (const [allow, text] of [
      ['127.0.0.1:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:PORT', 'http://0x7f.1:PORT/'],
      ['0x7f.1:PORT', 'http://127.0.0.1:PORT/'],
      ['LocalHost.:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT', 'http://LOCALHOST.:PORT/'],
    ] as const) {
      expect(await call(allow, text), `${allow} ${text}`).toBe('in');
    }
    for (const [allow, text] of [
      ['localhost:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:PORT', 'http://localhost:PORT/'],
      ['127.0.0.1:PORT', 'http://127.0.0.2:PORT/'],
      ['127.0.0.1:1', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:80', 'http://127.0.0.1:PORT/'],
      ['*:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.0/8:PORT', 'http://127.0.0.1:PORT/'],
      ['localhost:PORT', 'http://sub.localhost:PORT/'],
      ['sub.localhost:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT', 'http://user@localhost:PORT/'],
      ['http://localhost:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT ,', 'http://localhost:PORT/'],
      ['', 'http://localhost:PORT/'],
    ] as const) {
      expect(await call(allow, text), `${allow} ${text}`).toBe('egress_refused');
    }
    await evil.close();
  });

  it('counts at once when it changes, for kept connections too', async () => {
    // Without the change the connection would be kept for half a minute.
    const evil = await createEvil(always(answer(200, 'in', { 'keep-alive': 'timeout=30' })));
    let allow = [evil.pair];
    const upstream = createUpstream({ policy: () => ({ allow }), clock: systemClock, userAgent: 'x' });
    const call = () => upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    await call();
    await turns();
    await call();
    expect(evil.connections).toHaveLength(1);
    allow = [];
    await expect(call()).rejects.toMatchObject({ kind: 'egress_refused' });
    await until(
      () => evil.connections[0]?.socket.destroyed === true || evil.connections[0]?.socket.readableEnded === true,
    );
    allow = [evil.pair];
    await call();
    expect(evil.connections).toHaveLength(2);
    await upstream.destroy();
    await evil.close();
  });

  it('is asked again for every URL of an origin that was fine before', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const upstream = createUpstream({ policy: () => ({ allow: [evil.pair] }), clock: systemClock, userAgent: 'x' });
    await upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    for (const text of [
      `blob:${evil.url().href}`,
      `ws://${evil.pair}/`,
      `http://user@${evil.pair}/`,
      `http://:x@${evil.pair}/`,
    ]) {
      const called = upstream.call({ method: 'GET', url: new URL(text), headers: {} });
      await expect(called, text).rejects.toMatchObject({ kind: 'egress_refused' });
    }
    expect(evil.connections).toHaveLength(1);
    await upstream.destroy();
    await evil.close();
  });

  it('knows one spelling per pair', () => {
    expect(normalizePair('LOCALHOST:80')).toBe('localhost:80');
    expect(normalizePair('[::1]:3004')).toBe('[::1]:3004');
    expect(normalizePair('[0:0::1]:3004')).toBe('[::1]:3004');
    expect(normalizePair(' a.b.:443 ')).toBe('a.b:443');
    for (const text of [
      'a',
      'a:',
      ':1',
      'a:0',
      'a:65536',
      'a:1:2',
      '[::1]',
      '::1:80',
      'a b:1',
      'a/b:1',
      'u@a:1',
      'a:x',
      '[::1]:2:3',
    ]) {
      expect(normalizePair(text), text).toBeUndefined();
    }
    expect([...compileAllow(['A:1', 'nonsense', 'a:1', 'b:2'])]).toEqual(['a:1', 'b:2']);
  });
});

describe('readTarget', () => {
  it('normalises host and port', () => {
    const allow = compileAllow(['[::1]:80']);
    expect(readTarget(new URL('https://API.example./x'), allow)).toEqual({
      protocol: 'https:',
      hostname: 'api.example',
      port: 443,
      pair: 'api.example:443',
      allowed: false,
    });
    expect(readTarget(new URL('http://[::1]/'), allow)).toMatchObject({ hostname: '::1', port: 80, allowed: true });
  });

  it('gives a literal address back without asking anybody', async () => {
    const asked: string[] = [];
    const resolve: Resolver = async (name) => {
      asked.push(name);
      return [];
    };
    const target = readTarget(new URL('https://1.1.1.1/'), new Set());
    expect(await resolveTarget(target, resolve)).toEqual(['1.1.1.1']);
    expect(asked).toEqual([]);
    const named = readTarget(new URL('https://empty.example/'), new Set());
    await expect(resolveTarget(named, resolve)).rejects.toMatchObject({ kind: 'dns' });
  });
});
