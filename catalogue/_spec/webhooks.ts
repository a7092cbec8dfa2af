/**
 * What a provider's webhooks look like: how they are proven, what they say, and whom they are about. All of it is data;
 * the engine is `src/protocols/webhook-signature`, the gateway `src/features/inbound`.
 */

/** The first header or dotted body path that holds text. */
export interface WebhookPlace {
  /** Lower-case names. */
  headers?: string[];
  paths?: string[];
}

/** Whose secret it is. `integration`: the webhook secret set on the integration. `client`: the app's client secret. */
export type WebhookSecret = 'integration' | 'client';

export interface WebhookHmac {
  kind: 'hmac';
  /** Lower-case names; several are several signatures, of which one right one is enough. */
  headers: string[];
  algorithm: 'sha256' | 'sha1' | 'sha512';
  encoding: 'hex' | 'base64';
  /** Stands before the digest: `sha256=`. */
  prefix?: string;
  /** The header is a comma-separated list `name=value`; which names hold what. A repeated signature is another one. */
  parts?: { signature: string; timestamp?: string; nonce?: string };
  /**
   * What is signed, with the holes `${body}`, `${timestamp}`, `${nonce}`, `${method}`, `${url}` and `${form}`: the fields of
   * a form, sorted, each name with its value behind it.
   */
  signed: string;
  /** Where `${form}` stands for the body: the query parameter with the SHA-256, in hex, of a body that is no form. */
  bodyHashParam?: string;
  /** A request whose time lies further away is refused. `header` absent: it is one of the `parts`. */
  timestamp?: { header?: string; unit: WebhookTimeUnit; toleranceSeconds: number };
  /** Tried in order, as far as they are set. */
  secrets: WebhookSecret[];
  /** Why a URL with a secret part proves, whatever the signature: the key may not be ours, or the scheme is a guess. */
  urlProves?: string;
}

/** A shared secret comes along as it is. */
export interface WebhookToken {
  kind: 'token';
  /** Where: of several paths each that is there must hold it. */
  in: WebhookPlace;
  secrets: WebhookSecret[];
}

/** The provider proves nothing: closed, unless the URL has a secret part or the integration says `webhook_trust: none`. */
export interface WebhookUnsigned {
  kind: 'none';
}

export type WebhookVerification = WebhookHmac | WebhookToken | WebhookUnsigned;

/**
 * Where the value is looked up. `account`: the account id. `token`: keyed hash of an access token. `record`: id of a
 * synced record. Else a property of the connection.
 */
export type WebhookLookup =
  'account' | 'token' | 'record' | 'connectionId' | `connectionConfig.${string}` | `metadata.${string}`;

export interface WebhookRoute {
  /** Event types this rule is for. Absent: those that no other rule names. */
  events?: string[];
  /** Every value found is tried in order; the first that a connection has decides. */
  from: WebhookPlace;
  by: WebhookLookup;
  /** Cut off the end of the value: `.example.com`. */
  stripSuffix?: string;
}

/**
 * What an event means to us; the handlers are in the slices, and an event without a meaning is only passed on.
 * `deauthorized`: the customer has ended the grant that the event names, by its token or by what its connection is known
 * by. `account_ready`: the account may be used for everything now.
 */
export type WebhookMeaning = 'deauthorized' | 'account_ready';

/** A meaning that an event has only sometimes, or not for all whom its route finds. */
export interface WebhookMeaningRule {
  is: WebhookMeaning;
  /** Only when the body says so. */
  when?: { path: string; equals: string };
  /** Lists in the event, which name whom it ends. Absent: all whom its route finds. */
  lists?: WebhookNameList[];
  /** The provider also tells it when we end one of several grants of an account: then it ends no other one. */
  echoesEach?: true;
}

/** A list of ids in the body, and the `connectionConfig` field that must be in it. */
export interface WebhookNameList {
  path: string;
  config: string;
  /** The list does not speak of connections that have this field. */
  unless?: string;
}

/** The time of the event by the provider's clock. */
export interface WebhookTime {
  in: WebhookPlace;
  unit: WebhookTimeUnit;
}

/** `date`: ISO 8601 or that of HTTP. */
export type WebhookTimeUnit = 'seconds' | 'milliseconds' | 'date';

/** A request that asks for an answer instead of telling something. */
export type WebhookChallenge =
  /** A proven body in which `when` holds: its text at `reply` is sent back. */
  | { kind: 'body'; when: { path: string; equals: string }; reply: string }
  /** A POST without a body: a query parameter is sent back as it is. */
  | { kind: 'query'; param: string }
  /** A GET: a query parameter, or its signature, is sent back in this field of a JSON object. */
  | {
      kind: 'get';
      param: string;
      field: string;
      /** The answer is its HMAC in base64, with this before it. */
      signs?: { algorithm: 'sha256'; prefix: string };
      /** Query parameter that has to hold one of the secrets. */
      token?: string;
      secrets: WebhookSecret[];
    }
  /** A HEAD: answered 200 without a body. */
  | { kind: 'head' };

export interface WebhooksSpec {
  verify: WebhookVerification;
  /** Type of the event. */
  type?: WebhookPlace;
  /** What the same event has on each delivery. Absent: a hash of the body. */
  id?: WebhookPlace;
  /** Two events may have the same body: without an id each delivery is an event of its own. */
  repeats?: true;
  /** Dotted path of a list of events; `.`: the body is the list. Each item is an event of its own. Several: the first. */
  list?: string | string[];
  /** `all`: every connection of the integration. Empty: only the URL can tell. */
  route: WebhookRoute[] | 'all';
  /** When it happened. An end that names no token needs it to spare a later grant; absent: when it was received. */
  at?: WebhookTime;
  /** By event type. */
  meanings?: Record<string, WebhookMeaning | WebhookMeaningRule>;
  /** Dotted paths of secrets: never shown, logged or passed on. */
  redact?: string[];
  challenge?: WebhookChallenge;
  /** Other answer to a stored event than 200 `{"status":"success"}`. */
  reply?: { status: number; body: string };
  /** Lower-case names of headers that are kept and passed on, beside those of type and id. */
  keepHeaders?: string[];
  /** What a developer has to do, in a sentence for the provider's page. */
  setup: string;
}
