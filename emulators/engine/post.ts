/**
 * @module emulators/engine/post
 *
 * One POST to the address of an application. Emulators may not import `src/platform`, so this file is the one listed
 * exception to "outbound HTTP goes through platform/upstream". Follows no redirect and reads nothing of the answer.
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What came of it: a status, or a short word for why there is none. */
export type PostResult = { status: number } | { error: string };

/** Sends `body` and resolves with the status; never rejects. User and password of the URL become Basic. */
export function post(
  address: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<PostResult> {
  return new Promise((resolve) => {
    const url = new URL(address);
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const bytes = Buffer.from(body, 'utf8');
    const call = send(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: { ...headers, 'Content-Length': String(bytes.length), Connection: 'close' },
    });
    call.on('response', (answer) => {
      // Headers and body of the answer are ignored by real senders too.
      answer.on('error', () => undefined).resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
    call.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.name }));
    call.end(bytes);
  });
}
