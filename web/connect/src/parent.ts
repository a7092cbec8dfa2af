/**
 * The protocol with the app that shows this page in a frame (wire contract C.5). Who may frame it is decided by the
 * server's `frame-ancestors`. Messages go to the one origin the app has; only `ready`, which says nothing, may go out
 * before that origin is known.
 */
import type { Connected } from './api.ts';

export type Outgoing =
  | { type: 'ready' }
  | { type: 'close' }
  | { type: 'connect'; payload: Connected }
  | { type: 'error'; payload: { errorType: string; errorMessage: string } };

export const isFramed: boolean = window.parent !== window;

let parentOrigin = knownOrigin();

function knownOrigin(): string | undefined {
  const { ancestorOrigins } = location as { ancestorOrigins?: ArrayLike<string> };
  const first = ancestorOrigins?.[0];
  if (first !== undefined && first !== 'null') return first;
  return document.referrer === '' ? undefined : new URL(document.referrer).origin;
}

/** Host of the app, to show who asks; undefined stand-alone. */
export function parentHost(): string | undefined {
  return isFramed && parentOrigin !== undefined ? new URL(parentOrigin).host : undefined;
}

/** Tells the app. Does nothing stand-alone. */
export function tell(message: Outgoing): void {
  if (!isFramed) return;
  if (parentOrigin !== undefined) window.parent.postMessage(message, parentOrigin);
  else if (message.type === 'ready') window.parent.postMessage(message, '*');
}

/** Hears session tokens of the app; the first sender fixes the origin when the browser did not tell it. */
export function onToken(run: (token: string) => void): void {
  addEventListener('message', (event) => {
    const data = event.data as { type?: unknown; sessionToken?: unknown } | null;
    if (!isFramed || event.source !== window.parent) return;
    if (parentOrigin !== undefined && event.origin !== parentOrigin) return;
    if (data?.type !== 'session_token' || typeof data.sessionToken !== 'string') return;
    parentOrigin = event.origin;
    run(data.sessionToken);
  });
}
