import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';

/** The secret part of a connection, in memory only. Field names are those of the wire (B.5). */
export type Credential =
  | {
      type: 'OAUTH2';
      access_token: string;
      refresh_token?: string | undefined;
      /** ISO 8601. */
      expires_at?: string | undefined;
      /** The provider's whole answer; without the refresh token while at rest. */
      raw: Record<string, unknown>;
      /** The customer's own OAuth client, used instead of the integration's. */
      config_override?: { client_id?: string; client_secret?: string } | undefined;
    }
  | { type: 'API_KEY'; apiKey: string }
  | { type: 'BASIC'; username: string; password: string }
  | { type: 'NONE' };

/** What a new credential brings beside itself. */
export interface GrantFacts {
  /** Granted scope, as the provider names it. */
  scope: string | undefined;
  expiresAt: Date | undefined;
}

/** Everything a call needs, held in memory for at most 60 s. */
export interface LiveConnection {
  connection: Connection;
  integration: Integration;
  credential: Credential;
  generation: number;
  scope: string | undefined;
  /** Wall time in ms; undefined: no known end. */
  expiresAtMs: number | undefined;
}

export interface ReadOptions {
  /** Refresh whatever the expiry says; bypasses back-off. */
  force?: boolean;
}
