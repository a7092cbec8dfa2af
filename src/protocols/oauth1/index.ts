/**
 * @module protocols/oauth1
 *
 * OAuth 1.0a driven by a provider file: the three-step authorization and the signature of every call. Sends nothing,
 * keeps nothing. Source: RFC 5849.
 */
export { authorizationHeader, type OAuth1Method } from './signature.ts';
export {
  accessTokenRequest,
  authorizePage,
  newNonce,
  readOAuth1Answer,
  readOAuth1Callback,
  requestTokenRequest,
  type OAuth1Input,
  type OAuth1Token,
} from './flow.ts';
