/** A provider with a known listing, page by page, and payments that are counted: what records and runs are judged by. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Chance } from './seeded.ts';

export const PAGE = 20;
const ITEMS_FIRST = 50;

export interface ItemProvider {
  url: string;
  /** Values by id. */
  items: Map<string, number>;
  /** How often each key was paid. */
  paid: Map<string, number>;
  /** Answers are given when this resolves. */
  gate: Promise<unknown> | undefined;
  /** Called with the page before it is answered; a returned buffer is written raw and ends the connection. */
  onPage: ((page: number) => Buffer | undefined) | undefined;
  /** Pages asked for. */
  pages: number;
  /** Some items change, some go, some come. */
  change(chance: Chance): void;
  /** Ids of the items on the pages before this one. */
  idsBefore(page: number): string[];
  close(): Promise<void>;
}

export async function startItemProvider(): Promise<ItemProvider> {
  let serial = 0;
  const items = new Map<string, number>();
  const paid = new Map<string, number>();
  const add = (): void => {
    serial += 1;
    items.set(`item-${String(serial).padStart(5, '0')}`, 1);
  };
  for (let index = 0; index < ITEMS_FIRST; index += 1) add();

  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://provider');
      let text = '';
      for await (const chunk of request) text += String(chunk);
      if (provider.gate !== undefined) await provider.gate;
      if (url.pathname === '/pay') {
        const { key } = JSON.parse(text) as { key: string };
        paid.set(key, (paid.get(key) ?? 0) + 1);
        return response.setHeader('content-type', 'application/json').end(JSON.stringify({ paid: key }));
      }
      const page = Number(url.searchParams.get('page') ?? '0');
      provider.pages += 1;
      const raw = provider.onPage?.(page);
      if (raw !== undefined) {
        request.socket.end(raw);
        return undefined;
      }
      const all = [...items].map(([id, value]) => ({ id, value }));
      const body = { items: all.slice(page * PAGE, (page + 1) * PAGE), isLast: (page + 1) * PAGE >= all.length };
      return response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    })().catch(() => response.destroy()); // the caller was killed while it sent
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const provider: ItemProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    items,
    paid,
    gate: undefined,
    onPage: undefined,
    pages: 0,
    change(chance) {
      for (const id of chance.shuffle([...items.keys()]).slice(0, 5)) items.set(id, (items.get(id) ?? 0) + 1);
      for (const id of chance.shuffle([...items.keys()]).slice(0, 3)) items.delete(id);
      for (let index = 0; index < 3; index += 1) add();
    },
    idsBefore: (page) => [...items.keys()].slice(0, page * PAGE),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return provider;
}
