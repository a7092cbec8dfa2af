/**
 * @module emulators/xref
 *
 * The fake Xref. The public guide covers OAuth only; everything about the API is an assumption.
 * Source: providers.md 2 (github.com/xrefdev/openapi-oauth-docs, read 2026-11).
 */
import type { EmulatorDefinition } from '../engine/definition.ts';
import { hexId } from '../engine/ids.ts';
import { xrefRest } from './rest.ts';
import { xrefWebhooks } from './webhooks.ts';

export const xref: EmulatorDefinition = {
  name: 'xref',
  displayName: 'Xref',
  summary: 'Reference checks: client id in the path, JSON token call, the scheme word “Token”.',
  redirectField: 'redirect_url',
  ids: {
    clientId: () => hexId(24),
    secret: () => hexId(40),
    code: () => hexId(40),
    accessToken: () => hexId(40),
    refreshToken: () => hexId(40),
    accountId: () => hexId(32),
    userId: () => hexId(32),
    apiKey: () => ({ publishableKey: hexId(32), secretKey: hexId(40) }),
  },
  authorize: {
    paths: [{ pattern: '/oauth/open-api/:client_id', page: 'sign-in' }],
    required: [],
    redirectRule: 'registered',
    plainScope: [
      'Read the reference requests, templates and users of this account',
      'Start reference checks and archive them',
    ],
    success: ['state', 'code'],
  },
  token: {
    paths: ['/oauth/tokens'],
    style: 'code-only',
    required: [],
    refresh: false,
    reply: ({ accessToken, account }) => ({ access_token: accessToken, xref_account_id: account.id }),
  },
  deauthorize: { path: '/oauth/deauthorize' },
  api: {
    readCredential: (authorization) => {
      const value = /^token +(\S+)$/i.exec(authorization.trim())?.[1];
      return value === undefined ? undefined : { kind: 'token', value };
    },
    unauthorized: 'Unauthorized',
    spent: 'Unauthorized',
    notFound: 'Not found',
    keyScope: '',
  },
  readiness: {
    label: 'set up',
    notReady: 'the emulator marks it so that lists show both kinds; nothing is refused.',
    announced: false,
  },
  webhooks: xrefWebhooks,
  knobs: {
    own: [
      {
        name: 'requestStepSeconds',
        kind: 'number',
        default: 60,
        about: 'Seconds from one state of a mock candidate’s request to the next.',
      },

      {
        name: 'errorShape',
        kind: 'enum',
        options: ['new', 'legacy', 'errors', 'array', 'message'],
        default: 'new',
        about: 'Body of an API error.',
      },
    ],
    defaults: { tokenBodyFormats: ['json'] },
  },
  assumptions: [
    { topic: 'connect', text: 'Denial comes back as error=access_denied with the state.' },
    { topic: 'connect', text: 'Query parameters other than state are ignored, also redirect_uri and scope.' },
    { topic: 'connect', text: 'An unknown client id is an error page without redirect.' },
    { topic: 'connect', text: 'http redirect addresses are accepted on this machine.' },
    { topic: 'token', text: 'The token call takes JSON only; a form gets 415.' },
    { topic: 'token', text: 'Token errors: 400 invalid_grant, 401 invalid_client, 400 “… is missing”.' },
    { topic: 'token', text: 'A second secret for test tokens exists, as in the similar guide of another provider.' },
    { topic: 'token', text: 'Connecting again gives another token with the same account id; the old one stays alive.' },
    { topic: 'disconnect', text: 'The account’s user can disconnect too, and the app is told.' },
    { topic: 'api', text: 'The whole API except POST /auth is invented; Bearer gets 401; 429 comes with Retry-After.' },
    {
      topic: 'webhooks',
      text: 'Everything about webhooks except that there are some: names, payloads, the header X-Xref-Signature (hex HMAC-SHA256 of the body, key: the client secret), the schedule of tries.',
    },
  ],
  accounts: [
    {
      name: 'Bluegum Health',
      ready: true,
      users: [
        { fullName: 'Priya Nair', email: 'priya@bluegum.example' },
        { fullName: 'Tom Whitfield', email: 'tom@bluegum.example' },
      ],
    },
    {
      name: 'Saltmarsh Schools',
      ready: false,
      users: [{ fullName: 'Ines Carvalho', email: 'ines@saltmarsh.example' }],
    },
  ],
  rest: xrefRest,
};
