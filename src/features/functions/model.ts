import type { Sql } from '../../platform/postgres/index.ts';

export type FunctionKind = 'sync' | 'action' | 'on-event';

/** What a deploy says about a function (wire contract F.7), beside its code. */
export interface FunctionDefinition {
  description?: string | undefined;
  scopes?: string[] | undefined;
  /** Model names: what a sync writes, or the one model an action returns. */
  models: string[];
  /** Syncs: `every hour`, `every 30s`, `5m`. */
  runs?: string | undefined;
  autoStart: boolean;
  /** Name of the input model in `jsonSchema.definitions`. */
  input?: string | undefined;
  trackDeletes: boolean;
  syncType?: 'full' | 'incremental' | undefined;
  endpoints: { method: string; path: string; group?: string | undefined }[];
  webhookSubscriptions: string[];
  /** JSON Schema draft 7 with `definitions`. */
  jsonSchema: { definitions: Record<string, unknown> } | undefined;
  features: string[];
  /** On-event functions. */
  event?: 'post-connection-creation' | 'pre-connection-deletion' | 'validate-connection' | undefined;
  attributes: Record<string, unknown>;
  metadata: Record<string, unknown>;
  /** Of the client that compiled it. Another one alone makes no new version. */
  sdkVersion?: string | undefined;
}

export interface DeployedFunction {
  environmentId: number;
  /** Row id. */
  id: number;
  /** Public id. */
  uuid: string;
  integrationId: number;
  kind: FunctionKind;
  name: string;
  version: string;
  enabled: boolean;
  source: 'repo' | 'catalog' | 'standalone';
  definition: FunctionDefinition;
  /** SHA-256 of the bundle, hex. */
  codeHash: string;
  deployedAt: Date;
}

export interface FunctionInput {
  /** Unique key of the integration. */
  integrationKey: string;
  kind: FunctionKind;
  name: string;
  /** Undefined: the previous one + 1 when the code has changed. */
  version?: string | undefined;
  definition: FunctionDefinition;
  /** Bundle (CommonJS) and TypeScript source. */
  code: { js: string; ts: string };
}

export interface FunctionChange {
  created: DeployedFunction[];
  updated: { before: DeployedFunction; after: DeployedFunction }[];
  deleted: DeployedFunction[];
}

export interface Functions {
  /** From memory when known: no SQL on the hot path. Living ones only, disabled ones too. */
  byName(
    environmentId: number,
    integrationId: number,
    kind: FunctionKind,
    name: string,
  ): Promise<DeployedFunction | undefined>;
  byId(environmentId: number, id: number): Promise<DeployedFunction | undefined>;
  list(
    environmentId: number,
    filter?: { integrationId?: number; kind?: FunctionKind | undefined },
  ): Promise<DeployedFunction[]>;
  /** Bundle and source by hash; the bundle is kept in memory. */
  code(environmentId: number, codeHash: string): Promise<{ js: string; ts: string }>;
  /**
   * All or nothing, one at a time per environment. `scope` says which functions that are not in the list are deleted.
   * Errors: `concurrent_deployment`, `unknown_provider_config`, `invalid_body`, `deploy_script_security_rejected`.
   */
  deploy(
    environmentId: number,
    input: {
      functions: FunctionInput[];
      scope: { mode: 'all' } | { mode: 'integration'; integrationKey: string } | { mode: 'none' };
      source: DeployedFunction['source'];
    },
  ): Promise<FunctionChange & { unchanged: DeployedFunction[] }>;
  /** What `deploy` would do. */
  preview(
    environmentId: number,
    input: Parameters<Functions['deploy']>[1],
  ): Promise<FunctionChange & { unchanged: DeployedFunction[] }>;
  /** Errors: `not_found`. */
  setEnabled(fn: DeployedFunction, enabled: boolean): Promise<DeployedFunction>;
  /** Errors: `not_found`. */
  remove(fn: DeployedFunction): Promise<void>;
  /** In the transaction that deletes the integration. */
  removeOfIntegration(tx: Sql, environmentId: number, integrationId: number): Promise<void>;
  /** Called in the transaction of every deploy and deletion, so that schedules follow the functions. */
  onChange(follow: (tx: Sql, environmentId: number, change: FunctionChange) => Promise<void>): void;
}
