import { isHawserError, type Issue } from '../../base/errors.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import { connectionErrors } from './errors.ts';

export interface WebhookUrlDeps {
  upstream: Pick<Upstream, 'check'>;
  publicUrl: () => URL;
}

/**
 * Where events of a connection are to go; nothing to check when there is no address. Errors: `invalid_body` for one that
 * is no http(s) URL, is our own, or may not be called. Source: wire contract A.6.
 */
export async function checkWebhookUrl(
  { upstream, publicUrl }: WebhookUrlDeps,
  text: string | undefined,
  path: Issue['path'],
): Promise<void> {
  if (text === undefined || text === '') return;
  const refuse = (message: string): never => {
    throw connectionErrors.fail('invalid_body', { errors: [{ code: 'custom', message, path }] });
  };
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return refuse('This is not an http(s) URL.');
  if (url.host === publicUrl().host) refuse('Events cannot be sent to Hawser itself.');
  try {
    await upstream.check(url);
  } catch (error) {
    if (isHawserError(error, 'egress_refused', 'egress_unresolved')) refuse(error.message);
    throw error;
  }
}
