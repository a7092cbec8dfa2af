/** Answers of our own on a reply that Fastify no longer handles. */
import type { ServerResponse } from 'node:http';
import { HawserError } from '../../base/errors.ts';

/** Statuses after which the rest of the caller's body is not wanted. */
const closing: ReadonlySet<number> = new Set([408, 413]);

/** The error envelope (wire contract A.4). Resolves to the status written. */
export function writeEnvelope(response: ServerResponse, head: string[], error: unknown): number {
  const known = error instanceof HawserError;
  const status = known ? error.status : 500;
  const body = known
    ? { code: error.code, message: error.message, errors: error.errors, payload: error.payload }
    : { code: 'server_error', message: 'Something went wrong on our side.' };
  writeJson(response, status, head, { error: body });
  return status;
}

/** The body of a call that has no answer of the provider, or an empty one (wire contract B.11). */
export function writeFailure(
  response: ServerResponse,
  head: string[],
  failure: { message: string; code: string; status: number; method: string },
): void {
  writeJson(response, failure.status, head, failure);
}

function writeJson(response: ServerResponse, status: number, head: string[], value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  const kept: string[] = [];
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i] as string;
    if (name !== 'content-type' && name !== 'content-length') kept.push(name, head[i + 1] as string);
  }
  kept.push('content-type', 'application/json; charset=utf-8', 'content-length', String(body.length));
  if (closing.has(status)) kept.push('connection', 'close');
  response.writeHead(status, kept);
  response.end(body);
}
