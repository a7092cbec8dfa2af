import type { OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import type { TemplateInput } from '../input.ts';

/** A request as it would be sent; nothing in `protocols/` sends it. */
export interface HttpRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

/** The app's registration at the provider. */
export interface OAuthClient {
  clientId: string;
  /** Empty for a public client. */
  clientSecret: string;
}

/** What every request of the flow is built from. `oauth2` is the resolved form of `provider.oauth2`. */
export interface OAuth2Input extends TemplateInput {
  oauth2: OAuth2Spec;
  client: OAuthClient;
}

/** Renames keys; a name without an entry stays. */
export function renameKeys(
  table: Map<string, string>,
  rename: Record<string, string> | undefined,
): Map<string, string> {
  if (rename === undefined) return table;
  return new Map(
    [...table].map(([name, value]) => [Object.hasOwn(rename, name) ? (rename[name] as string) : name, value]),
  );
}

/**
 * Client id and secret for HTTP Basic: form-urlencoded first, then base64.
 * Source: RFC 6749 2.3.1 and appendix B.
 */
export function basicClientAuth(client: OAuthClient): string {
  return `Basic ${Buffer.from(`${formEncode(client.clientId)}:${formEncode(client.clientSecret)}`).toString('base64')}`;
}

function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
