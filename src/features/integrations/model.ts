import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';

/** The app's own registration at the provider. */
export interface ClientCredentials {
  /** The mode it is for. */
  type: 'OAUTH2' | 'OAUTH1' | 'AWS_SIGV4' | 'APP';
  /** APP: the app's id. AWS_SIGV4: the access key id. */
  clientId: string;
  /** APP: the private key, PEM. AWS_SIGV4: the secret access key. */
  clientSecret: string;
  /** APP: the app's page at the provider. */
  appLink?: string | undefined;
  /** Asked for on every connect; empty: the provider's default. */
  scopes: string[];
  webhookSecret: string | undefined;
}

/** A provider set up in an environment. */
export interface Integration {
  environmentId: number;
  id: number;
  uniqueKey: string;
  provider: ProviderSpec;
  displayName: string | undefined;
  /** Present for the modes in which the app is registered at the provider. */
  client: ClientCredentials | undefined;
  /** Proves webhooks of the provider. */
  webhookSecret?: string | undefined;
  /** Values of the provider's `integrationConfig` fields. */
  integrationConfig: Record<string, string>;
  custom: Record<string, string>;
  forwardWebhooks: boolean;
  /** True: the provider's hosts are played by the emulator (`custom.emulated = "true"`). */
  emulated: boolean;
  createdAt: Date;
  updatedAt: Date;
}

export interface Integrations {
  /** From memory when known. */
  peek(environmentId: number, uniqueKey: string): Integration | undefined;
  byKey(environmentId: number, uniqueKey: string): Promise<Integration | undefined>;
  byId(environmentId: number, id: number): Promise<Integration | undefined>;
  /** False when it is deleted; otherwise nobody deletes it before `tx` ends. */
  holdLiving(tx: Sql, environmentId: number, id: number): Promise<boolean>;
  list(environmentId: number): Promise<Integration[]>;
  create(environmentId: number, input: IntegrationInput): Promise<Integration>;
  update(
    environmentId: number,
    uniqueKey: string,
    input: Partial<Omit<IntegrationInput, 'provider'>>,
  ): Promise<Integration>;
  /** Soft delete. `beforeDelete` runs in the same transaction (it removes the connections). */
  remove(
    environmentId: number,
    uniqueKey: string,
    beforeDelete?: (tx: Sql, integration: Integration) => Promise<void>,
  ): Promise<void>;
}

export interface IntegrationInput {
  provider: string;
  uniqueKey: string;
  displayName?: string | undefined;
  client?: ClientCredentials | undefined;
  integrationConfig?: Record<string, string> | undefined;
  custom?: Record<string, string> | undefined;
  forwardWebhooks?: boolean | undefined;
}
