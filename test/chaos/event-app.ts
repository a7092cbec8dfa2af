/** The app that is told: takes everything, and may be asked to hold one answer of a node for good. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ChaosNode } from './process.ts';

export interface Got {
  id: string;
  body: string;
  /** What `app.epoch` was. */
  epoch: number;
}

export type EventApp = Awaited<ReturnType<typeof startEventApp>>;

/** `nameOf`: what an event is known by, from its body. */
export async function startEventApp(nameOf: (body: unknown) => string) {
  const got = new Map<string, Got[]>();
  let trap: { name: string; spring: () => void } | undefined;
  const server = createServer((request, response: ServerResponse) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const name = nameOf(JSON.parse(body));
      const id = String(request.headers['webhook-id']);
      got.set(name, [...(got.get(name) ?? []), { id, body, epoch: app.epoch }]);
      if (trap !== undefined && request.headers['user-agent'] === `hawser/${trap.name}`) {
        const { spring } = trap;
        trap = undefined;
        spring();
        return; // never answered
      }
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const app = {
    url: `http://${pair}/`,
    pair,
    /** By name, in the order of their coming. */
    got,
    /** Written to everything that comes: which of several disasters it came after. */
    epoch: 0,
    /** Calls `spring` when this node's next request is here. */
    hold(name: string, spring: () => void): void {
      trap = { name, spring };
    },
    /** The app registers its endpoint, as it would. */
    async register(node: Pick<ChaosNode, 'url'>, apiKey: string, kinds?: string[]): Promise<void> {
      const response = await fetch(`${node.url}/endpoints`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ url: app.url, kinds }),
      });
      if (response.status !== 201) throw new Error(`no endpoint: ${response.status} ${await response.text()}`);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return app;
}
