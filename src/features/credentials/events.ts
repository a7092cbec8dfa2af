import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { Credential, GrantFacts } from './model.ts';

/** A credential that is not stored yet, for the app's functions that check it. */
export interface Candidate {
  environmentId: number;
  integration: Integration;
  connectionId: string;
  connectionConfig: Record<string, unknown>;
  credential: Credential;
  facts: GrantFacts;
  tags: Record<string, string>;
  /** The living connection that it would override. */
  existing?: Connection | undefined;
}

/** The app's functions that follow the life of connections; a later slice runs them, the composition binds it. */
export interface ConnectionEvents {
  /**
   * Runs the integration's `validate-connection` functions with a credential that is not stored yet, one after the
   * other. Errors: `connection_validation_failed` with what the first one threw.
   */
  validate(candidate: Candidate): Promise<void>;
  /** Queues the `post-connection-creation` functions, in the transaction that stores the connection. */
  created(tx: Sql, connection: Connection): Promise<void>;
  /** Runs the `pre-connection-deletion` functions, for 20 s at most in all. Never rejects. */
  deleting(connection: Connection): Promise<void>;
  /** Cancels what runs on it, in the transaction that deletes it: nothing is written after its commit. */
  deleted(tx: Sql, connection: Connection): Promise<void>;
}
