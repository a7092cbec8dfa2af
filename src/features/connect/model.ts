import type { EndUser } from '../connections/index.ts';

/** What the app's backend fixes for one integration of a session; the browser cannot change it. Wire names (B.6). */
export interface ConfigDefaults {
  user_scopes?: string | undefined;
  authorization_params?: Record<string, string> | undefined;
  connection_config?: Record<string, unknown> | undefined;
}

/**
 * A 30-minute right to connect. Moves:
 *
 *   open ─▶ used      one connection was made with it (`used_at`); refused from then on
 *   open ─▶ expired   `expires_at` passed
 *   open ─▶ deleted   `DELETE /connect/session`
 */
export interface ConnectSession {
  environmentId: number;
  id: string;
  endUser: EndUser | undefined;
  /** Explicit and derived tags of a new connection; empty in reconnect mode unless the app gave some. */
  tags: Record<string, string>;
  /** Unique keys; undefined: every integration of the environment. */
  allowedIntegrations: string[] | undefined;
  configDefaults: Record<string, ConfigDefaults>;
  overrides: Record<string, { docs_connect?: string | undefined }>;
  /** Row id of the one connection that may be repaired. */
  reconnectId: number | undefined;
  webhookUrlOverride: string | undefined;
  expiresAt: Date;
}

/** The sealed part of a flow. */
export interface FlowSecret {
  codeVerifier?: string | undefined;
  /** Asked for, in the provider's names. */
  scopes: string[];
  connectionConfig: Record<string, unknown>;
  /** The customer's own OAuth client. */
  clientOverride?: { clientId: string; clientSecret: string } | undefined;
  /** OAuth 1: the request token that the customer is asked to approve. */
  requestToken?: { key: string; secret: string } | undefined;
  /** Where the browser goes afterwards, when there is no popup. Checked at start. */
  returnTo?: string | undefined;
}

/**
 * One authorization in flight. It is created by `/oauth/connect`, lives 10 minutes, and is consumed by one atomic
 * DELETE when its state comes back: whatever the outcome, the same state never works twice.
 */
export interface OAuthFlow {
  environmentId: number;
  id: string;
  browserHash: Buffer;
  integrationId: number;
  /** Public name the connection will have. */
  connectionId: string;
  reconnectId: number | undefined;
  connectSessionId: string | undefined;
  sealed: Buffer;
  redirectUri: string;
  wsClientId: string | undefined;
  expiresAt: Date;
}

/** What the waiting browser is told: the messages of the WebSocket (wire contract C.2). */
export type Notice =
  | { message_type: 'success'; provider_config_key: string; connection_id: string; is_pending: boolean }
  | {
      message_type: 'error';
      provider_config_key: string;
      connection_id: string;
      error_type: string;
      error_desc: string;
      /** The provider's own code, cleaned: tells a refusal from a fault. */
      provider_error?: string | undefined;
    };

/** Life of a connect session. Source: wire contract J.1. */
export const SESSION_LIFE_MS = 30 * 60_000;
/** A person needs minutes for a login with a second factor; a stolen state should be worthless soon. */
export const FLOW_LIFE_MS = 10 * 60_000;
/** Flows of one session or one browser. Nobody has more logins open; more is a script filling the table. */
export const FLOWS_MAX = 20;
/** Life of the browser cookie; longer than a flow so that two flows in a row share it. */
export const BROWSER_COOKIE_SECONDS = 60 * 60;
