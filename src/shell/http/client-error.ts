import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorText, type Log } from '../../base/log.ts';
import { envelope, httpErrors } from './errors.ts';
import type { Peers } from './peers.ts';

/** Node's code for what is wrong, and our answer. Everything else is `invalid_request`. */
const ANSWERS: Record<string, 'request_timeout' | 'headers_too_large' | 'request_too_large'> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'request_too_large',
};

const STATUS_TEXTS: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
};

/**
 * Answers bytes that are no request with one envelope and closes the socket, whatever follows on it. While an answer to
 * an earlier request is due, nothing is written: it would be taken for that answer.
 */
export function refuseMalformed(log: Log, peers: Peers) {
  return (error: Error & { code?: string }, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    log.debug('a malformed request was refused', { error: errorText(error) });
    if (!mayAnswer(peers, socket)) {
      socket.destroy();
      return;
    }
    const refusal = httpErrors.fail(ANSWERS[error.code ?? ''] ?? 'invalid_request');
    const body = JSON.stringify(envelope(refusal));
    socket.end(
      `HTTP/1.1 ${refusal.status} ${STATUS_TEXTS[refusal.status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n` +
        `Connection: close\r\n\r\n${body}`,
    );
    socket.destroySoon();
  };
}

/** No answer is due, or the one whose request broke off in its body and that has not begun. */
function mayAnswer(peers: Peers, socket: Socket): boolean {
  if (!socket.writable) return false;
  const latest = peers.latestAnswer(socket);
  if (latest === undefined || latest.writableFinished) return true;
  // Behind another answer it has no socket yet.
  return latest.socket === socket && !latest.req.complete && !latest.headersSent;
}

/** RFC 9110 10.1.1: `100-continue` is the only expectation there is. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const refusal = httpErrors.fail('invalid_request', { message: 'The only expectation allowed is 100-continue.' });
  const body = JSON.stringify(envelope(refusal));
  response.writeHead(417, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(body);
}
