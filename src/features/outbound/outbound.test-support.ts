/** An app that is told things: a server that keeps what it got and answers as it is asked to. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Sink {
  /** `http://127.0.0.1:<port>` */
  url: string;
  pair: string;
  got: Got[];
  /** How the next requests are answered; default 200. A promise holds the answer back. */
  answer: (got: Got) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export async function startSink(): Promise<Sink> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const got: Got = { path: request.url ?? '', headers: request.headers, body };
      sink.got.push(got);
      void Promise.resolve(sink.answer(got)).then(({ status, headers, body: text }) => {
        response.writeHead(status, headers).end(text);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sink: Sink = {
    url: `http://127.0.0.1:${port}`,
    pair: `127.0.0.1:${port}`,
    got: [],
    answer: () => ({ status: 200 }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return sink;
}

/** The body of a request of the sink. */
// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
export function bodyOf(got: Got | undefined): any {
  return JSON.parse(got?.body ?? 'null');
}
