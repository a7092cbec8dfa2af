import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TEMPLATE_CORPUS } from '../../test/conformance/template-corpus.ts';
import { anyAuthority, anyText } from '../../test/support/texts.ts';
import { isHawserError } from './errors.ts';
import {
  checkField,
  fillTemplate,
  fillUrl,
  fillUrlIfComplete,
  hasBrokenHole,
  holesOf,
  sampleHost,
  urlTemplateProblem,
  type TemplateFields,
} from './template.ts';

const fields: TemplateFields = {
  'c.label': { kind: 'label', title: 'Shop' },
  'c.host': { kind: 'host' },
  'c.segment': { kind: 'segment' },
  'c.tld': { kind: 'enum', options: ['com', 'co.uk'] },
  'c.text': { kind: 'text' },
  'i.url': { kind: 'url' },
  'i.region': { kind: 'enum', options: ['eu', 'us'], default: 'eu' },
};

const HOSTED: [template: string, host: RegExp][] = [
  ['https://${c.label}.shop.example/admin', /^[a-z0-9-]+\.shop\.example$/],
  ['https://api-${c.label}.shop.example:8443/a', /^api-[a-z0-9-]+\.shop\.example:8443$/],
  ['https://login.shop.${c.tld}/a', /^login\.shop\.(com|co\.uk)$/],
  ['https://api.shop.example/v1/${c.segment}/x', /^api\.shop\.example$/],
  ['https://api.shop.example/x?tenant=${c.segment}&a=1', /^api\.shop\.example$/],
  ['https://api.shop.example/#/${c.segment}/authorize', /^api\.shop\.example$/],
];

describe('fillTemplate', () => {
  it('fills holes and leaves other text alone', () => {
    expect(fillTemplate('Token ${a} $b {c} ${a.b-c_1}', { a: 'x', 'a.b-c_1': 'y' })).toBe('Token x $b {c} y');
  });

  it('takes the alternative while a hole is empty', () => {
    const template = '${a}/${b} || ${c} || none';
    expect(fillTemplate(template, { a: '1', b: '2' })).toBe('1/2');
    expect(fillTemplate(template, { a: '1', b: '', c: '3' })).toBe('3');
    expect(fillTemplate(template, {})).toBe('none');
    expect(fillTemplate('${a}', {})).toBeUndefined();
  });

  it('never reads a value as a template', () => {
    expect(fillTemplate('${a}', { a: '${b} || $& ${a}', b: 'secret' })).toBe('${b} || $& ${a}');
  });

  it('looks at own values only', () => {
    expect(fillTemplate('${constructor}', {})).toBeUndefined();
    expect(fillTemplate('${toString}', {})).toBeUndefined();
  });

  it('refuses what is not text, and control characters in headers', () => {
    for (const value of [1, true, ['a'], { a: 1 }]) {
      expect(() => fillTemplate('${a}', { a: value })).toThrow(
        expect.objectContaining({ code: 'template_value_invalid' }),
      );
    }
    for (const value of ['a\r\nx: y', 'a\nb', 'a\u0000', '\u007f']) {
      expect(() => fillTemplate('${a}', { a: value }, { encode: 'header' })).toThrow(/a holds a control character/);
    }
    expect(fillTemplate('${a}', { a: 'a\nb' })).toBe('a\nb');
  });

  it('encodes a segment', () => {
    expect(fillTemplate('/x/${a}', { a: 'a/b c' }, { encode: 'segment' })).toBe('/x/a%2Fb%20c');
  });

  it('uses a default and checks the kind when fields are given', () => {
    expect(fillTemplate('${i.region}', {}, { fields })).toBe('eu');
    expect(() => fillTemplate('${i.region}', { 'i.region': 'xx' }, { fields })).toThrow(/must be one of: eu, us/);
  });

  it('names the holes', () => {
    expect(holesOf('${a} ${b.c} ${a}')).toEqual(['a', 'b.c']);
    expect(hasBrokenHole('${a} ${b c}')).toBe(true);
    expect(hasBrokenHole('${a}')).toBe(false);
  });
});

describe('checkField', () => {
  it.each([
    ['label', 'acme', true],
    ['label', 'ACME-1', true],
    ['label', 'a.b', false],
    ['label', 'a'.repeat(63), true],
    ['label', 'a'.repeat(64), false],
    ['host', 'login.example.com', true],
    ['host', 'login.example.com:8443', true],
    ['host', 'example.com:0', false],
    ['host', 'example.com:65536', false],
    ['host', 'localhost', false],
    ['host', '10.0.0.1', false],
    ['host', '0x7f.0x1', false],
    ['host', 'a..example.com', false],
    ['host', 'xn--bcher-kva.example', true],
    ['segment', 'tenant@corp:1', true],
    ['segment', 'a/b', false],
    ['segment', '..', false],
    ['url', 'https://api.example.com/v1?x=1', true],
    ['url', 'http://127.0.0.1:3004', true],
    ['url', 'https://user@example.com', false],
    ['url', 'https://example.com/#x', false],
    ['url', 'https:example.com', false],
    ['url', 'ftp://example.com', false],
    ['url', 'https://example.com/${clientSecret}', false],
    ['url', 'https://example.com./', false],
    ['url', 'https://exa mple.com', false],
    ['url', 'https://example.com/\\evil', false],
    ['text', 'any thing\nwith lines', true],
    ['text', 'nul\u0000', false],
  ] as const)('%s %j → %s', (kind, value, fine) => {
    const said = checkField({ kind, title: 'The field' }, value);
    expect(said === undefined).toBe(fine);
    if (said !== undefined) expect(said).toMatch(/^The field must/);
  });

  it('bounds text', () => {
    expect(checkField({ kind: 'text' }, 'a'.repeat(16_384))).toBeUndefined();
    expect(checkField({ kind: 'text' }, 'a'.repeat(16_385))).toMatch(/at most 16384/);
  });

  it('says nothing of the value', () => {
    for (const kind of ['label', 'host', 'segment', 'url', 'enum'] as const) {
      expect(checkField({ kind, title: 'F', options: ['a'] }, 'canary/../\\x y')).not.toContain('canary');
    }
  });

  it('lets an optional field be empty and nothing else', () => {
    expect(checkField({ kind: 'label', optional: true }, '')).toBeUndefined();
    expect(checkField({ kind: 'label' }, '')).toBeDefined();
    expect(checkField({ kind: 'label', optional: true }, null)).toBeDefined();
  });
});

describe('fillUrl', () => {
  it('fills host, path, query and fragment', () => {
    const values = { 'c.label': 'ACME', 'c.segment': 'a:b@c', 'c.tld': 'co.uk' };
    expect(
      fillUrl('https://${c.label}.shop.example/a/${c.segment}?t=${c.segment}#/${c.segment}', fields, values).href,
    ).toBe('https://acme.shop.example/a/a%3Ab%40c?t=a%3Ab%40c#/a%3Ab%40c');
    expect(fillUrl('https://login.shop.${c.tld}/a', fields, values).host).toBe('login.shop.co.uk');
    expect(fillUrl('https://${c.host}/oauth', fields, { 'c.host': 'a.example:443' }).href).toBe(
      'https://a.example/oauth',
    );
    expect(fillUrl('https://${i.region}.api.example', fields, {}).host).toBe('eu.api.example');
  });

  it('joins a path to a whole URL', () => {
    const fill = (url: string) => fillUrl('${i.url}/v1/${c.segment}', fields, { 'i.url': url, 'c.segment': 's' }).href;
    expect(fill('https://api.example')).toBe('https://api.example/v1/s');
    expect(fill('https://api.example/base/')).toBe('https://api.example/base/v1/s');
    expect(() => fill('https://api.example?x=1')).toThrow(/must have no query/);
    expect(fillUrl('${i.url}', fields, { 'i.url': 'https://api.example/a?x=1' }).href).toBe(
      'https://api.example/a?x=1',
    );
  });

  it('tells a missing value from a wrong one', () => {
    expect(() => fillUrl('https://${c.label}.shop.example', fields, {})).toThrow(
      expect.objectContaining({ code: 'template_value_missing', message: 'Shop is missing.' }),
    );
    expect(fillUrlIfComplete('https://${c.label}.shop.example', fields, {})).toBeUndefined();
    expect(fillUrl('https://${c.label}.shop.example || https://shop.example', fields, {}).host).toBe('shop.example');
  });

  it.each([
    ['https://${c.text}.shop.example', 'text'],
    ['https://x.example/${c.text}', 'text'],
    ['https://${c.label}.com', 'two fixed labels'],
    ['https://${c.label}', 'two fixed labels'],
    ['https://a.${c.host}', 'whole host'],
    ['https://${c.host}.shop.example', 'whole host'],
    ['https://${c.segment}.shop.example', 'kind segment'],
    ['https://a.example/${i.url}', 'may not stand behind the host'],
    ['https://a.example/${c.host}', 'may not stand behind the host'],
    ['https://${c.other}.shop.example', 'not declared'],
    ['https://a.example/${c label}', 'misspelled'],
    ['https://u@a.example', 'user name'],
    ['ftp://a.example', 'https://'],
    ['${c.label}/a', 'not of kind url'],
    ['${i.url}.evil', 'only a path'],
    ['${i.url}/${c.host}', 'segment, label or enum'],
  ])('refuses the template %s', (template, why) => {
    expect(urlTemplateProblem(template, fields)).toContain(why);
    const values = {
      'c.label': 'a',
      'c.host': 'a.example',
      'c.segment': 'a',
      'c.text': 'a',
      'i.url': 'https://a.example',
    };
    expect(() => fillUrl(template, fields, values)).toThrow(expect.objectContaining({ code: 'template_broken' }));
  });

  it('abuse 14: keeps the host of its template for every value of the corpus', () => {
    let refused = 0;
    for (const value of TEMPLATE_CORPUS) {
      for (const [template, host] of HOSTED) {
        const values = Object.fromEntries(holesOf(template).map((hole) => [hole, value]));
        const url = attempt(() => fillUrl(template, fields, values));
        if (url === undefined) refused += 1;
        else expect([template, value, host.test(url.host)]).toEqual([template, value, true]);
      }
    }
    expect(TEMPLATE_CORPUS).toHaveLength(64);
    expect(refused).toBeGreaterThan(300);
  });

  it('abuse 14: keeps host, credentials and number of segments for any text at all', () => {
    fc.assert(
      fc.property(fc.constantFrom(...HOSTED), hostile, ([template, host], value) => {
        const url = attempt(() =>
          fillUrl(template, fields, Object.fromEntries(holesOf(template).map((hole) => [hole, value]))),
        );
        if (url === undefined) return;
        const sample = template.replaceAll(/\$\{[^}]+\}/g, 'com');
        expect(url.host).toMatch(host);
        expect(url.username + url.password).toBe('');
        expect(url.pathname.split('/').length).toBe(new URL(sample).pathname.split('/').length);
        expect([...url.searchParams.keys()]).toEqual([...new URL(sample).searchParams.keys()]);
      }),
      { numRuns: 3000 },
    );
  });

  it('abuse 14: gives a whole host only as that host', () => {
    fc.assert(
      fc.property(hostile, (value) => {
        const url = attempt(() => fillUrl('https://${c.host}/oauth', fields, { 'c.host': value }));
        if (url === undefined) return;
        expect(value.toLowerCase().replace(/:443$/, '')).toBe(url.host);
        expect(url.pathname).toBe('/oauth');
      }),
      { numRuns: 3000 },
    );
  });

  it('tells the host with safe samples', () => {
    expect(sampleHost('https://${c.label}.shop.example/a', fields)).toBe('sample.shop.example');
    expect(sampleHost('https://login.shop.${c.tld}/a', fields)).toBe('login.shop.com');
    expect(sampleHost('${i.url}/a', fields)).toBeUndefined();
  });
});

/** Text that mixes harmless characters with those that matter in a URL. */
const hostile = fc.oneof(
  anyText({ maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'aZ0-._~/\\?#@:%[]${}&=; \t\r\n\u0000\u2044\uff0e'), maxLength: 24 }),
  anyAuthority(),
);

function attempt(run: () => URL): URL | undefined {
  try {
    return run();
  } catch (error) {
    if (!isHawserError(error, 'template_value_invalid', 'template_value_missing')) throw error;
    return undefined;
  }
}
