/**
 * @module protocols/oauth2
 *
 * OAuth 2.0 driven by a provider file: builds requests and reads answers, sends nothing, keeps nothing, knows no
 * provider. A knob of the spec is honoured here or nowhere.
 * Source: RFC 6749, 7009, 7636, 8414, 9207, 9700.
 */
export type { HttpRequest, OAuth2Input, OAuthClient } from './request.ts';
export type { TemplateInput } from '../input.ts';
export { newPkce } from './pkce.ts';
export { authorizeUrl, type AuthorizeInput } from './authorize.ts';
export { callbackStateNames, readCallback, type Callback } from './callback.ts';
export { callbackSignature, isSignedCallback } from './callback-signature.ts';
export { afterConnectRequest, readAfterConnect } from './after-connect.ts';
export { codeRequest, refreshRequest } from './token-request.ts';
export { readTokenAnswer, type HttpAnswer, type TokenAnswer, type TokenFailureKind } from './token-answer.ts';
export { revocationRequest } from './revocation.ts';
export { discoveryUrls, issuerProblem, readDiscovery, type Discovery } from './discovery.ts';
export { chosenOAuth2, issuerOf, issuerToRead, withDiscovery } from './resolve.ts';
export { cleanCode, cleanText } from './clean.ts';
export { atPath } from './parse-body.ts';
export { oauth2Errors } from './errors.ts';
