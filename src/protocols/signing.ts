/** Providers that want every request signed: what the signature needs of the request, and the headers it adds. Pure. */
import type { ApiCredential } from './api-auth.ts';
import { holesFor, type TemplateInput } from './input.ts';
import { customerHoles } from './machine-token/index.ts';
import { authorizationHeader, newNonce } from './oauth1/index.ts';
import type { OAuthClient } from './oauth2/request.ts';
import type { Signer } from './signable.ts';
import { placeOf, sigV4Signer } from './sigv4/index.ts';

export type { Signable, Signer } from './signable.ts';

/** Undefined for a provider whose credential goes into a header or the query as it is. */
export function signerOf(
  input: TemplateInput,
  credential: ApiCredential,
  client: OAuthClient | undefined,
): Signer | undefined {
  const { provider } = input;
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
  if (credential.type === 'AWS_SIGV4' && provider.sigv4 !== undefined) {
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = credential.raw;
    if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') return undefined;
    const place = placeOf(provider.sigv4, holesFor(input, customerHoles(credential.fields)));
    return sigV4Signer(provider.sigv4, { accessKeyId, secretAccessKey, sessionToken: credential.token }, place);
  }
  return undefined;
}

function isForm(contentType: string): boolean {
  return /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(contentType.trim());
}
