/** The upstream where nginx is missing, and the slow one in any case: 1 KB, 1 MB, and 1 KB after 20 ms. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const kilobyte = Buffer.alloc(1024, 'x');
const bodies: Record<string, Buffer> = { '/1k': kilobyte, '/1m': Buffer.alloc(1024 * 1024, 'x'), '/slow': kilobyte };
const SLOW_MS = 20;

const server = createServer((request, response) => {
  const body = bodies[request.url ?? ''] ?? kilobyte;
  const send = (): void => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': String(body.length) }).end(body);
  };
  if (request.url === '/slow') setTimeout(send, SLOW_MS);
  else send();
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
