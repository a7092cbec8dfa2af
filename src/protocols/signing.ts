/** Providers that want every request signed: what the signature needs of the request, and the headers it adds. Pure. */
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential } from './api-auth.ts';
import { authorizationHeader, newNonce } from './oauth1/index.ts';
import type { OAuthClient } from './oauth2/request.ts';

/** A request as it will go out, but for the signature. */
export interface Signable {
  method: string;
  url: URL;
  /** Query as sent, when it differs from the URL's form. Without `?`. */
  query?: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** Empty: no body, or one that the signature does not cover. */
  body: Buffer;
  nowMs: number;
}

export interface Signer {
  /** True when the whole body must be at hand for a request with this content type. */
  needsBody(contentType: string): boolean;
  /** Headers to add, names in lower case. */
  sign(request: Signable): Record<string, string>;
}

/** Undefined for a provider whose credential goes into a header or the query as it is. */
export function signerOf(
  provider: ProviderSpec,
  credential: ApiCredential,
  client: OAuthClient | undefined,
): Signer | undefined {
  if (provider.api.auth.in !== 'signature') return undefined;
  if (credential.type === 'OAUTH1' && provider.oauth1 !== undefined && client !== undefined) {
    const method = provider.oauth1.signature;
    const token = { key: credential.oauth_token, secret: credential.oauth_token_secret };
    return {
      // A form is part of the signature, other bodies are not. Source: RFC 5849 3.4.1.3.1.
      needsBody: (contentType) => method !== 'PLAINTEXT' && isForm(contentType),
      sign: (request) => ({
        authorization: authorizationHeader(
          {
            method: request.method,
            url: request.url,
            ...(request.query !== undefined && { query: request.query }),
            form: isForm(request.headers['content-type'] ?? '') ? request.body.toString('utf8') : undefined,
          },
          {
            method,
            consumerKey: client.clientId,
            consumerSecret: client.clientSecret,
            token,
            timestamp: Math.floor(request.nowMs / 1_000),
            nonce: newNonce(),
            extra: { oauth_version: '1.0' },
          },
        ),
      }),
    };
  }
  return undefined;
}

function isForm(contentType: string): boolean {
  return /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(contentType.trim());
}
