import { describe, expect, it } from 'vitest';
import type { AfterConnectSpec } from '../../../catalogue/_spec/index.ts';
import { readAfterConnect } from './after-connect.ts';

const read = (spec: Partial<AfterConnectSpec>, body: unknown, status = 200) =>
  readAfterConnect(
    { url: 'https://api.example/me', metadata: { id: 'id' }, ...spec },
    { status, headers: {}, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) },
  );

describe('the answer of the second call', () => {
  it('is one thing, whose values may be numbers', () => {
    expect(read({ metadata: { id: 'shop.id', name: 'shop.name' } }, { shop: { id: 42, name: 'A' } })).toEqual({
      id: '42',
      name: 'A',
    });
  });

  it('is the one of a list that fits', () => {
    const body = {
      accounts: [
        { id: 'a', main: false },
        { id: 'b', main: true },
      ],
    };
    expect(read({ list: 'accounts', where: { path: 'main', equals: true } }, body)).toEqual({ id: 'b' });
  });

  it('is the newest, also across zones and odd fractions', () => {
    const body = [
      { id: 'old', at: '2019-12-07T18:46:19.5187840' },
      { id: 'new', at: '2019-12-07T21:46:19+02:00' },
      { id: 'undated' },
    ];
    expect(read({ list: '.', newestBy: 'at' }, body)).toEqual({ id: 'new' });
  });

  it('tells nothing when several fit and nothing says which', () => {
    expect(read({ list: '.' }, [{ id: 'a' }, { id: 'b' }])).toEqual({});
    expect(
      read({ list: '.', newestBy: 'at' }, [
        { id: 'a', at: '2026-01-01' },
        { id: 'b', at: '2026-01-01' },
      ]),
    ).toEqual({});
    expect(read({ list: '.' }, [])).toEqual({});
    expect(read({ list: '.' }, [null, 'text'])).toEqual({});
    expect(read({ list: '.' }, [{ id: 'a' }])).toEqual({ id: 'a' });
  });

  it.each([
    ['a failure', {}, { id: 'a' }, 403],
    ['a redirect', {}, { id: 'a' }, 302],
    ['no JSON', {}, '<html>', 200],
    ['a list where a thing was wanted', {}, '[{"id":"a"}]', 200],
    ['a thing where a list was wanted', { list: '.' }, { id: 'a' }, 200],
    ['more than one list', { list: '.' }, '[],"more":[1]', 200],
    ['two lists', { list: '.' }, '[1],[2]', 200],
    ['no list at its place', { list: 'accounts' }, { accounts: {} }, 200],
    ['deep nesting', { list: '.' }, '['.repeat(100) + ']'.repeat(100), 200],
  ] as const)('is none with %s', (_, spec, body, status) => {
    expect(read(spec, body, status)).toBeUndefined();
  });
});
