import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Connections } from '../connections/index.ts';
import type { Environments } from '../environments/index.ts';
import type { IntegrationService } from '../integrations/index.ts';
import type { OutboundLimits } from './limits.ts';

/**
 * Where an endpoint comes from. `primary` and `secondary` are the two URLs of the wire contract; `override` stands for
 * the URL of a connection, which replaces these two.
 */
export type EndpointRole = 'primary' | 'secondary' | 'additional' | 'override';

/** Why an endpoint gets nothing. What is meant for it waits, for 30 days. */
export type DisabledReason =
  /** It answered 410. */
  | 'gone'
  /** It failed for five days. */
  | 'failing'
  | 'by_hand';

export interface Endpoint {
  environmentId: number;
  id: string;
  role: EndpointRole;
  url: string;
  description: string | undefined;
  /** Undefined: every kind but the feed of records. */
  kinds: string[] | undefined;
  state: 'enabled' | 'disabled';
  disabledReason: DisabledReason | undefined;
  disabledAt: Date | undefined;
  failingSince: Date | undefined;
  failures: number;
  openUntil: Date | undefined;
  /** Until when the secret before signs as well. */
  previousUntil: Date | undefined;
  createdAt: Date;
}

/** An endpoint and what waits for it. */
export interface EndpointStatus extends Endpoint {
  /** Since when the oldest delivery that waits has been due. Undefined: none is. */
  oldestDueAt: Date | undefined;
}

/**
 * One event to one endpoint.
 *
 *   pending ─▶ delivered   the endpoint answered 2xx
 *   pending ─▶ failed      the last try of the schedule failed
 *   pending ─▶ parked      five nodes ended while they sent it, or its body does not open
 *   any ─▶ pending         replay; the schedule begins anew
 */
export type DeliveryState = 'pending' | 'delivered' | 'failed' | 'parked';

export interface Delivery {
  environmentId: number;
  id: number;
  /** `webhook-id` of all its tries. */
  messageId: string;
  kind: string;
  endpointId: string;
  url: string;
  /** Public id of the connection; undefined for events without one. */
  connectionId: string | undefined;
  sequence: number | undefined;
  state: DeliveryState;
  attempts: number;
  nextAttemptAt: Date | undefined;
  lastStatus: number | undefined;
  lastError: string | undefined;
  occurredAt: Date;
  createdAt: Date;
  finishedAt: Date | undefined;
}

export interface Attempt {
  at: Date;
  durationMs: number;
  status: number | undefined;
  error: string | undefined;
  /** First 4 KB, as UTF-8. */
  answer: string;
}

/** Which of its events an environment is told of (wire contract D.1). */
export interface OutboundSettings {
  onAuthCreation: boolean;
  onAuthRefreshError: boolean;
  onSyncCompletionAlways: boolean;
  onSyncError: boolean;
  onAsyncActionCompletion: boolean;
}

export interface OutboundDeps {
  db: Database;
  clock: Clock;
  log: Log;
  upstream: Upstream;
  environments: Pick<Environments, 'vault' | 'byId' | 'webhookSigningKeys' | 'rotateWebhookSigningKey'>;
  integrations: Pick<IntegrationService, 'byId' | 'byKey'>;
  connections: Pick<Connections, 'writeEvent' | 'byPublicId' | 'onEvents'>;
  killPoints: KillPoints;
  nodeId: string;
  /** True while nothing may be sent: a restored database tells of what was sent long ago. */
  isQuarantined: () => boolean;
  limits?: Partial<OutboundLimits> | undefined;
  /** For tests: how far the database's time is moved for schedules and leases. Default 0. */
  shiftMs?: (() => number) | undefined;
}
