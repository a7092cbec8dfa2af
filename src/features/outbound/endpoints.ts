/** Endpoints as people manage them. */
import { randomId } from '../../base/ids.ts';
import { isUniqueViolation, type Sql } from '../../platform/postgres/index.ts';
import { CONTRACT_KINDS } from './kinds.ts';
import { DEFAULT_SETTINGS } from './audience.ts';
import { outboundErrors } from './errors.ts';
import { ENDPOINTS_MAX } from './limits.ts';
import type { Endpoint, EndpointRole, EndpointStatus, OutboundDeps, OutboundSettings } from './model.ts';
import { newSecret, openSecrets, sealSecret } from './secrets.ts';
import type { Pump } from './pump.ts';
import {
  announceChange,
  countEndpoints,
  deleteEndpoint,
  insertEndpoint,
  releaseDeliveries,
  replaceSecret,
  selectEndpoint,
  selectEndpoints,
  selectOldestDue,
  selectSettings,
  toEndpoint,
  updateEndpoint,
  upsertSettings,
} from './store.ts';

export interface NewEndpoint {
  url: string;
  description?: string | undefined;
  /** Default: every kind but the feed of records. */
  kinds?: string[] | undefined;
  role?: Exclude<EndpointRole, 'override'> | undefined;
}

export interface EndpointChange {
  url?: string | undefined;
  description?: string | undefined;
  /** Null: every kind. */
  kinds?: string[] | null | undefined;
  /** True forgets its failures and sends what has waited. */
  enabled?: boolean | undefined;
}

export interface SettingsChange extends Partial<OutboundSettings> {
  /** Empty removes the endpoint. */
  primaryUrl?: string | undefined;
  secondaryUrl?: string | undefined;
}

export interface Endpoints {
  list(environmentId: number): Promise<EndpointStatus[]>;
  /** Errors: `unknown_endpoint`. */
  get(environmentId: number, id: string): Promise<EndpointStatus>;
  /** Errors: `too_many_endpoints`, `endpoint_exists`, and those of the egress guard. */
  add(environmentId: number, endpoint: NewEndpoint): Promise<{ endpoint: Endpoint; secret: string }>;
  /** Errors: `unknown_endpoint`, and those of the egress guard. */
  change(environmentId: number, id: string, change: EndpointChange): Promise<Endpoint>;
  /** With everything that waits for it. Errors: `unknown_endpoint`. */
  remove(environmentId: number, id: string): Promise<void>;
  /** The secrets that sign now, the newest first. Errors: `unknown_endpoint`. */
  secrets(environmentId: number, id: string): Promise<string[]>;
  /** The secret before signs as well for `graceMs`. Errors: `unknown_endpoint`. */
  rotate(environmentId: number, id: string, graceMs: number): Promise<{ endpoint: Endpoint; secret: string }>;
  /** A new key of the environment; the one before signs every second try for `graceMs`. Resolves to the new one. */
  rotateSigningKey(environmentId: number, graceMs: number): Promise<string>;
  /** Sends an event of kind `endpoint.test`. Errors: `unknown_endpoint`, `endpoint_disabled`. */
  test(environmentId: number, id: string): Promise<void>;
  settings(sql: Sql, environmentId: number): Promise<OutboundSettings>;
  changeSettings(environmentId: number, change: SettingsChange): Promise<void>;
}

export function createEndpoints(deps: OutboundDeps, pump: Pick<Pump, 'wake' | 'changed'>): Endpoints {
  const { db, upstream } = deps;
  const { vault } = deps.environments;

  async function rowOf(environmentId: number, id: string) {
    const row = await selectEndpoint(db, environmentId, id);
    if (row === undefined) throw outboundErrors.fail('unknown_endpoint');
    return row;
  }

  const oldestDue = (environmentId: number, id?: string) =>
    selectOldestDue(db, environmentId, deps.shiftMs?.() ?? 0, id);

  async function add(environmentId: number, given: NewEndpoint): Promise<{ endpoint: Endpoint; secret: string }> {
    await upstream.check(new URL(given.url));
    if ((await countEndpoints(db, environmentId)) >= ENDPOINTS_MAX) throw outboundErrors.fail('too_many_endpoints');
    const id = randomId();
    const secret = newSecret();
    const row = await insertEndpoint(db, {
      environmentId,
      id,
      role: given.role ?? 'additional',
      url: given.url,
      description: given.description,
      kinds: given.kinds,
      secretSealed: await sealSecret(vault, { environmentId, id }, secret),
    });
    if (row === undefined) throw outboundErrors.fail('endpoint_exists');
    return { endpoint: toEndpoint(row), secret };
  }

  async function change(environmentId: number, id: string, values: EndpointChange): Promise<Endpoint> {
    if (values.url !== undefined) await upstream.check(new URL(values.url));
    const row = await db.transaction(async (tx) => {
      const updated = await updateEndpoint(tx, { environmentId, id, ...values }).catch((error: unknown) => {
        throw isUniqueViolation(error) ? outboundErrors.fail('endpoint_exists') : error;
      });
      if (values.enabled === true) await releaseDeliveries(tx, environmentId, id);
      await announceChange(tx, environmentId, id);
      return updated;
    });
    if (row === undefined) throw outboundErrors.fail('unknown_endpoint');
    pump.changed(environmentId, id);
    if (values.enabled === true) pump.wake();
    return toEndpoint(row);
  }

  async function remove(environmentId: number, id: string): Promise<void> {
    const isRemoved = await db.transaction(async (tx) => {
      await announceChange(tx, environmentId, id);
      return deleteEndpoint(tx, environmentId, id);
    });
    if (!isRemoved) throw outboundErrors.fail('unknown_endpoint');
    pump.changed(environmentId, id);
  }

  /** One of the two URLs of the wire contract: made, changed, or removed by an empty text. */
  async function setUrl(environmentId: number, role: 'primary' | 'secondary', url: string | undefined): Promise<void> {
    if (url === undefined) return;
    const existing = (await selectEndpoints(db, environmentId)).find((row) => row.role === role);
    if (existing !== undefined) {
      if (url === '') await remove(environmentId, existing.id);
      else if (url !== existing.url) await change(environmentId, existing.id, { url, enabled: true });
    } else if (url !== '') await add(environmentId, { url, role, kinds: [...CONTRACT_KINDS] });
  }

  return {
    async list(environmentId) {
      const rows = await selectEndpoints(db, environmentId, { overrides: true });
      const due = await oldestDue(environmentId);
      return rows.map((row) => ({ ...toEndpoint(row), oldestDueAt: due.get(row.id) }));
    },
    async get(environmentId, id) {
      const row = await rowOf(environmentId, id);
      return { ...toEndpoint(row), oldestDueAt: (await oldestDue(environmentId, id)).get(id) };
    },
    add,
    change,
    remove,
    secrets: async (environmentId, id) => openSecrets(vault, await rowOf(environmentId, id)),
    async rotate(environmentId, id, graceMs) {
      const before = (await openSecrets(vault, await rowOf(environmentId, id)))[0] as string;
      const secret = newSecret();
      const sealed = {
        sealed: await sealSecret(vault, { environmentId, id }, secret),
        previous: await sealSecret(vault, { environmentId, id }, before, 'previous_secret_sealed'),
      };
      const row = await db.transaction(async (tx) => {
        await announceChange(tx, environmentId, id);
        return replaceSecret(tx, { environmentId, id, ...sealed, previousMs: graceMs });
      });
      if (row === undefined) throw outboundErrors.fail('unknown_endpoint');
      pump.changed(environmentId, id);
      return { endpoint: toEndpoint(row), secret };
    },
    async test(environmentId, id) {
      const row = await rowOf(environmentId, id);
      if (row.state === 'disabled') throw outboundErrors.fail('endpoint_disabled');
      await deps.connections.writeEvent(db, { environmentId, type: 'endpoint.test', payload: { endpointId: id } });
      pump.wake();
    },
    async rotateSigningKey(environmentId, graceMs) {
      const key = await deps.environments.rotateWebhookSigningKey(environmentId, graceMs);
      await announceChange(db, environmentId, '');
      pump.changed(environmentId);
      return key;
    },
    settings: async (sql, environmentId) => (await selectSettings(sql, environmentId)) ?? DEFAULT_SETTINGS,
    async changeSettings(environmentId, { primaryUrl, secondaryUrl, ...switches }) {
      await setUrl(environmentId, 'primary', primaryUrl);
      await setUrl(environmentId, 'secondary', secondaryUrl);
      if (Object.keys(switches).length === 0) return;
      const before = (await selectSettings(db, environmentId)) ?? DEFAULT_SETTINGS;
      await upsertSettings(db, environmentId, { ...before, ...switches });
    },
  };
}
