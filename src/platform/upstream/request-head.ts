/** The head of a request as it goes out: what the caller gave, checked once more before it becomes bytes. */
import { hopByHopHeaders } from '../../protocols/http.ts';
import type { StreamRequest } from './stream.ts';

/** Visible characters and Latin-1: no blank and no control, which would end the request line. */
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Z]+$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^[0-9]{1,15}$/;

/** Methods whose requests say that they have no body. Source: RFC 9110 8.6. */
const bodyMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export interface RequestHead {
  /** Up to and without the fields that tell the length of the body. */
  text: string;
  /** From the caller's own Content-Length. */
  announcedBytes: number | undefined;
}

/**
 * Writes the head without its end. `target` is path and query. Undefined: something does not belong into a head, such as
 * a line break or a field of one hop. `Host` is the host of the URL whatever the headers say.
 */
export function writeHead(request: {
  method: string;
  host: string;
  target: string;
  headers: StreamRequest['headers'];
  userAgent: string;
}): RequestHead | undefined {
  const { method, host, target, headers } = request;
  if (!METHOD.test(method) || !TARGET.test(target)) return undefined;
  const head: RequestHead = {
    text: `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`,
    announcedBytes: undefined,
  };
  let hasAgent = false;
  const add = (name: string, value: string): boolean => {
    const key = name.toLowerCase();
    if (key === 'host') return true;
    if (!NAME.test(name) || !VALUE.test(value) || key === 'expect' || hopByHopHeaders.has(key)) return false;
    if (key === 'content-length') {
      if (head.announcedBytes !== undefined || !LENGTH.test(value)) return false;
      head.announcedBytes = Number(value);
      return true;
    }
    if (key === 'user-agent') hasAgent = true;
    head.text += `${name}: ${value}\r\n`;
    return true;
  };
  if (Array.isArray(headers)) {
    for (const [name, value] of headers as readonly (readonly [string, string])[])
      if (!add(name, value)) return undefined;
  } else {
    for (const [name, value] of Object.entries(headers as Record<string, string | string[]>)) {
      if (typeof value === 'string' ? !add(name, value) : !value.every((one) => add(name, one))) return undefined;
    }
  }
  if (!hasAgent) head.text += `user-agent: ${request.userAgent}\r\n`;
  return head;
}

/** The end of the head. `bodyBytes` undefined: the body comes in chunks. */
export function endHead(head: RequestHead, method: string, bodyBytes: number | undefined): string {
  if (bodyBytes === undefined) return `${head.text}transfer-encoding: chunked\r\n\r\n`;
  if (bodyBytes > 0 || bodyMethods.has(method)) return `${head.text}content-length: ${bodyBytes}\r\n\r\n`;
  return `${head.text}\r\n`;
}
