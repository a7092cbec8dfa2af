/**
 * @module emulators/checkr
 *
 * The fake Checkr, production and staging: two worlds with their own apps, accounts and tokens.
 * Source: providers.md 1 (partner guide of all eras, read 2026-11).
 */
import type { ApiCredential, EmulatorDefinition, KnobReader } from '../engine/definition.ts';
import { hexId } from '../engine/ids.ts';
import { checkrRest } from './rest.ts';
import { checkrWebhooks } from './webhooks.ts';

export const checkr = define({ name: 'checkr', displayName: 'Checkr', staging: false });
export const checkrStaging = define({ name: 'checkr-staging', displayName: 'Checkr staging', staging: true });

function define(options: { name: string; displayName: string; staging: boolean }): EmulatorDefinition {
  const { name, displayName, staging } = options;
  return {
    name,
    displayName,
    summary: staging
      ? 'Background checks, the world for trying out: nothing is shared with production.'
      : 'Background checks: client id in the path, a token without end, Basic authorization, events for the app.',
    redirectField: 'redirect_uri',
    ids: {
      clientId: () => hexId(24),
      secret: () => hexId(40),
      code: () => hexId(40),
      accessToken: () => hexId(40),
      refreshToken: () => hexId(40),
      accountId: () => hexId(24),
      userId: () => hexId(24),
      apiKey: () => ({ publishableKey: hexId(40), secretKey: hexId(40) }),
    },
    authorize: {
      paths: [
        { pattern: '/authorize/:client_id', page: 'sign-in' },
        { pattern: '/authorize/:client_id/signin', page: 'sign-in' },
        { pattern: '/authorize/:client_id/signup', page: 'sign-up' },
        // 2015 to early 2017.
        { pattern: '/oauth/authorize/:client_id', page: 'sign-in' },
        { pattern: '/oauth/authorize/:client_id/signin', page: 'sign-in' },
      ],
      required: [],
      redirectRule: 'same-host',
      scopes: {
        read_write: [
          'Read the candidates, invitations and reports of this account',
          'Create candidates and order background checks, for which this account pays',
        ],
      },
      defaultScope: 'read_write',
      success: ['scope', 'code', 'state'],
    },
    token: {
      paths: ['/oauth/tokens'],
      style: 'code-only',
      required: [],
      refresh: false,
      reply: ({ accessToken, grant, account, knob }) => ({
        access_token: accessToken,
        ...(knob('includeScopeInTokenResponse') === true ? { scope: grant.scope } : {}),
        checkr_account_id: account.id,
      }),
    },
    deauthorize: { path: '/oauth/deauthorize' },
    api: {
      readCredential,
      unauthorized: 'Bad authentication error',
      spent: 'Bad authentication error',
      notFound: 'Resource not found',
      keyScope: 'read_write',
    },
    readiness: {
      label: 'credentialed',
      notReady: 'a connected app can read, but ordering is refused until the account has been reviewed.',
      announced: true,
      button: 'Credential this account',
    },
    webhooks: checkrWebhooks,
    knobs: {
      own: [
        {
          name: 'reportCreateStatus',
          kind: 'number',
          default: 200,
          about: 'Status of a created report: 200 in the specification, 201 in older samples.',
        },
        {
          name: 'invitationCompletesAfterSeconds',
          kind: 'number',
          default: 60,
          about: 'Seconds until a mock candidate fills in the invitation.',
        },
        {
          name: 'reportFinishesAfterSeconds',
          kind: 'number',
          default: 120,
          about: 'Seconds until a mock candidate’s report is done.',
        },
        { name: 'invitationExpiry', kind: 'boolean', default: true, about: 'Invitations expire after 7 days.' },

        {
          name: 'includeScopeInTokenResponse',
          kind: 'boolean',
          default: true,
          about: 'The token answer repeats the scope (older guides) or leaves it out (newer ones).',
        },
        {
          name: 'rotateAccountIdOnReconnect',
          kind: 'boolean',
          default: false,
          about: 'An account that connects again to the same app gets another checkr_account_id.',
        },
        {
          name: 'basicLenient',
          kind: 'boolean',
          default: false,
          about: 'Also takes Basic credentials whose colon comes after the base64 text.',
        },
        {
          name: 'hrefScheme',
          kind: 'enum',
          options: ['http', 'https', 'same'],
          default: 'http',
          about: 'Scheme of next_href and previous_href; `same` is the emulator’s own.',
        },
        {
          name: 'errorShape',
          kind: 'enum',
          options: ['new', 'legacy', 'errors', 'array', 'message'],
          default: 'new',
          about: 'Body of an API error.',
        },
        {
          name: 'hierarchyEnabled',
          kind: 'boolean',
          default: false,
          about: 'Accounts have nodes, and orders name one.',
        },
      ],
      // Seen at the edge of the real API.
      defaults: { requireUserAgent: true, ...(staging ? { invitationExpiry: false } : {}) },
    },
    assumptions: [
      { topic: 'connect', text: 'Denial comes back as error=access_denied with the state; no description is added.' },
      { topic: 'connect', text: 'A scope other than read_write comes back as error=invalid_scope.' },
      {
        topic: 'connect',
        text: 'An unknown client id and a redirect_uri of another host are error pages without redirect.',
      },
      { topic: 'connect', text: 'Unknown query parameters (response_type, code_challenge) are ignored.' },
      { topic: 'connect', text: 'http redirect addresses are accepted on this machine.' },
      { topic: 'token', text: 'Codes and tokens are 40 hex characters.' },
      {
        topic: 'token',
        text: 'Token errors: 400 invalid_grant, 401 invalid_client, 400 “… is missing”, 415 for other content types.',
      },
      { topic: 'token', text: 'A code that comes a second time is refused, and the token it gave stays alive.' },
      {
        topic: 'token',
        text: 'Connecting again keeps the account id and makes another token; the old one stays alive.',
      },
      { topic: 'disconnect', text: 'An unknown or revoked token gets 401 at the deauthorize call.' },
      { topic: 'api', text: 'Bearer, and Basic with a password, get 401. A call without User-Agent gets 403.' },
      { topic: 'api', text: 'The limit counts per account; a 429 carries no Retry-After.' },
      {
        topic: 'webhooks',
        text: 'The receiver has 10 seconds; http addresses are accepted on this machine, SNS is not.',
      },
      {
        topic: 'webhooks',
        text: 'Every connected application hears of all resources of the account, whoever made them.',
      },
      { topic: 'webhooks', text: 'An event to several addresses has the same id at all of them.' },
      {
        topic: 'webhooks',
        text: 'An address that has failed for 60 days stays; the real provider removes it.',
      },
    ],
    accounts: [
      {
        name: 'Harbor Lights Staffing',
        ready: true,
        users: [
          { fullName: 'Maya Okafor', email: 'maya@harborlights.example' },
          { fullName: 'Jonas Lind', email: 'jonas@harborlights.example' },
        ],
      },
      {
        name: 'Pinecone Couriers',
        ready: false,
        users: [{ fullName: 'Rosa Delgado', email: 'rosa@pinecone.example' }],
      },
    ],
    rest: checkrRest,
  };
}

/** Basic with the token (or the account's secret key) as user name and nothing as password. */
function readCredential(authorization: string, knob: KnobReader): ApiCredential | undefined {
  const encoded = /^basic +(\S+)$/i.exec(authorization.trim())?.[1];
  if (encoded === undefined) return undefined;
  if (knob('basicLenient') === true && encoded.endsWith(':')) {
    return { kind: 'token-or-key', value: Buffer.from(encoded.slice(0, -1), 'base64').toString('utf8') };
  }
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  return decoded.endsWith(':') ? { kind: 'token-or-key', value: decoded.slice(0, -1) } : undefined;
}
