/** The exact bytes of an event: built once, signed and sent as they are. */
import { isContractKind } from './kinds.ts';

/** An event as it was written, with what is known of its connection. */
export interface EventFacts {
  kind: string;
  payload: unknown;
  environment: string;
  occurredAt: Date;
  sequence: number;
  connection:
    | {
        connectionId: string;
        providerConfigKey: string | undefined;
        provider: string | undefined;
        authMode: string | undefined;
        tags: Record<string, string>;
        endUser: EndUserFacts | undefined;
      }
    | undefined;
}

export interface EndUserFacts {
  id: string;
  email: string | undefined;
  organizationId: string | undefined;
  tags: Record<string, string>;
}

/**
 * Compact JSON with the keys of every level in alphabetical order (wire contract D.2), so that a receiver who parses it
 * and writes it again has the same text: `verifyWebhookSignature` of the published client does that. Keys that look like
 * an array's index come first, because JavaScript puts them there.
 */
export function bodyOf(event: EventFacts): string {
  return JSON.stringify(sorted(isContractKind(event.kind) ? contractBody(event) : ownBody(event)));
}

function contractBody({ kind, payload, environment, connection }: EventFacts): unknown {
  const given = payload as Record<string, unknown>;
  if (kind === 'forward') return payload;
  if (kind !== 'auth') return { from: 'nango', type: kind, ...given };
  const { endUser } = connection ?? {};
  return {
    from: 'nango',
    type: 'auth',
    environment,
    ...(connection !== undefined && {
      connectionId: connection.connectionId,
      providerConfigKey: connection.providerConfigKey,
      provider: connection.provider,
      authMode: connection.authMode,
      ...(Object.keys(connection.tags).length > 0 && { tags: connection.tags }),
    }),
    ...(endUser !== undefined && {
      endUser: {
        endUserId: endUser.id,
        endUserEmail: endUser.email,
        organizationId: endUser.organizationId,
        tags: endUser.tags,
      },
    }),
    ...given,
  };
}

function ownBody({ kind, payload, environment, occurredAt, sequence, connection }: EventFacts): unknown {
  return {
    from: 'hawser',
    type: kind,
    environment,
    occurredAt: occurredAt.toISOString(),
    sequence,
    ...(connection !== undefined && {
      connectionId: connection.connectionId,
      providerConfigKey: connection.providerConfigKey,
      provider: connection.provider,
    }),
    data: payload,
  };
}

/** The same value with sorted keys; without a prototype, so that `__proto__` is a key like any other. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const result = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).toSorted()) result[key] = sorted((value as Record<string, unknown>)[key]);
  return result;
}
