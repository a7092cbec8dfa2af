import { describe, expect, it } from 'vitest';
import { failureOf, outputOf, testSandbox } from './sandbox.test-support.ts';

const sandbox = testSandbox();
/** Reads all pages of `input`; output: pages and what `on_page` heard. */
const CODE = `const pages = [], heard = [];
  const paginate = input.paginate && { ...input.paginate, on_page: ({ nextPageParam, response }) => { heard.push([nextPageParam ?? null, response.status]); } };
  for await (const page of nango.paginate({ ...input, ...(paginate && { paginate }) })) pages.push(page);
  return { pages, heard };`;

interface Sent {
  method: string;
  endpoint: string;
  bodyText?: string;
  baseUrlOverride?: string;
}

async function read(
  input: object,
  bodies: (Record<string, unknown> | unknown[])[],
  paginate?: Record<string, unknown>,
): Promise<{ output: unknown; sent: Sent[] }> {
  const sent: Sent[] = [];
  const host = (_method: string, args: readonly unknown[]): unknown => {
    const body = bodies[sent.length] ?? {};
    sent.push(args[0] as Sent);
    const link = '$link' in body ? { link: body.$link } : {};
    return { status: 200, statusText: 'OK', headers: link, bodyText: JSON.stringify(body) };
  };
  const output = await outputOf(sandbox, CODE, { input, host, ...(paginate && { context: { paginate } }) });
  return { output, sent };
}

describe('paginate', () => {
  it('by cursor, in the query, until there is none', async () => {
    const paginate = { type: 'cursor', cursor_name_in_request: 'after', cursor_path_in_response: 'paging.next', response_path: 'data.items', limit: 2, limit_name_in_request: 'size' }; // prettier-ignore
    const { output, sent } = await read({ endpoint: '/a', params: { q: 'x' }, paginate }, [
      { data: { items: [1, 2] }, paging: { next: 'c2' } },
      { data: { items: [3] }, paging: { next: 7 } },
      { data: { items: [4] }, paging: { next: '  ' } },
    ]);
    expect(output).toEqual({ pages: [[1, 2], [3], [4]], heard: [['c2', 200], [7, 200], [null, 200]] }); // prettier-ignore
    expect(sent.map(({ endpoint }) => endpoint)).toEqual([
      '/a?q=x&size=2',
      '/a?q=x&size=2&after=c2',
      '/a?q=x&size=2&after=7',
    ]);
  });

  it('by cursor, in the body with dotted names, until a page is empty', async () => {
    const paginate = {
      type: 'cursor',
      cursor_name_in_request: 'page.after',
      cursor_path_in_response: 'next',
      response_path: 'rows',
    };
    const { output, sent } = await read({ endpoint: '/a', method: 'post', data: { page: { size: 5 } }, paginate }, [
      { rows: [1], next: 'n' },
      { rows: [], next: 'm' },
    ]);
    expect(output).toEqual({ pages: [[1]], heard: [['n', 200]] });
    expect(sent.map(({ bodyText }) => JSON.parse(bodyText ?? ''))).toEqual([
      { page: { size: 5 } },
      { page: { size: 5, after: 'n' } },
    ]);
  });

  it('by link, of the header or the body, with empty pages, other hosts and relative targets', async () => {
    const byHeader = { type: 'link', link_rel_in_response_header: 'next', response_path: 'items' };
    const first = await read({ endpoint: '/a', params: { q: 'x,y' }, paginate: byHeader }, [
      { items: [1], $link: '<https://b.example/prev>; rel="prev", <https://b.example/p?c=1,2>; rel="next last"' },
      { items: [], $link: '</rel?c=3>; rel=next' },
      { items: [3] },
    ]);
    expect(first.output).toMatchObject({ pages: [[1], [], [3]] });
    expect(first.sent.map(({ endpoint, baseUrlOverride }) => [endpoint, baseUrlOverride])).toEqual([
      ['/a?q=x%2Cy', undefined],
      ['/p?c=1,2', 'https://b.example'],
      ['/rel?c=3', 'https://b.example'],
    ]);
    const byBody = { type: 'link', link_path_in_response_body: 'links.next', response_path: 'items' };
    const same = { items: [1], links: { next: '/same' } };
    expect((await read({ endpoint: '/a', paginate: byBody }, [same, same, same])).output).toMatchObject({
      pages: [[1], [1]],
    });
  });

  it('by offset, counted by records or by pages, until a page is short or empty', async () => {
    const bySize = { type: 'offset', offset_name_in_request: 'skip', limit: 2, limit_name_in_request: 'take' };
    const first = await read({ endpoint: '/a', paginate: bySize }, [[1, 2], [3]]);
    expect(first.output).toEqual({ pages: [[1, 2], [3]], heard: [[2, 200]] });
    expect(first.sent.map(({ endpoint }) => endpoint)).toEqual(['/a?take=2&skip=0', '/a?take=2&skip=2']);
    const byPage = {
      type: 'offset',
      offset_name_in_request: 'page',
      offset_start_value: 1,
      offset_calculation_method: 'per-page',
      in_body: true,
    };
    const second = await read({ endpoint: '/a', paginate: byPage }, [[1], [2], []]);
    expect(second.sent.map(({ bodyText }) => JSON.parse(bodyText ?? ''))).toEqual([
      { page: 1 },
      { page: 2 },
      { page: 3 },
    ]);
  });

  it('takes what is missing from the provider', async () => {
    const ofProvider = { type: 'offset', offset_name_in_request: 'start', response_path: 'rows' };
    const { sent, output } = await read({ endpoint: '/a' }, [{ rows: [1] }, {}], ofProvider);
    expect(output).toMatchObject({ pages: [[1]] });
    expect(sent[1]?.endpoint).toBe('/a?start=1');
  });

  it('says what is wrong with its settings', async () => {
    const cases: [object | undefined, string][] = [
      [undefined, 'no pagination configuration'],
      [{ type: 'pages' }, 'one of cursor, link, offset'],
      [{ type: 'cursor', cursor_name_in_request: 'a' }, '`cursor_path_in_response`'],
      [
        { type: 'cursor', cursor_name_in_request: 'a', cursor_path_in_response: 'b', limit: 5 },
        '`limit_name_in_request`',
      ],
      [{ type: 'link' }, '`link_rel_in_response_header`'],
      [{ type: 'offset' }, '`offset_name_in_request`'],
    ];
    for (const [paginate, text] of cases) {
      const failure = await failureOf(sandbox, CODE, { input: { endpoint: '/a', ...(paginate && { paginate }) } });
      expect(failure).toMatchObject({ code: 'invalid_pagination', message: expect.stringContaining(text) });
    }
  });
});
