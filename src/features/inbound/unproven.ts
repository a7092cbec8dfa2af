/**
 * Senders that prove nothing, per integration and address. What is proven is taken however much is not: a small webhook is
 * looked at in any case, which costs little. A large one is not even read from where nothing has been proven so far.
 */
import type { FastifyRequest } from 'fastify';
import { isHawserError, type HawserError } from '../../base/errors.ts';
import { Recent } from '../../base/recent.ts';
import { inboundErrors } from './errors.ts';
import { UNPROVEN_BYTES_MAX } from './limits.ts';
import { webhooksOf, type WebhookTarget } from './receive.ts';

/** A bound of memory; who is forgotten has to prove one small webhook again. */
const PROVEN_MAX = 10_000;
const CODES = [
  'webhook_closed',
  'webhook_missing_signature',
  'webhook_missing_token',
  'webhook_invalid_signature',
  'webhook_limited',
];

/** Counts per caller and minute. */
export interface FailureLimit {
  take(caller: string): { allowed: boolean; headers: Record<string, string> };
  isUsedUp(caller: string): boolean;
}

export interface Unproven {
  /** Before the body is read. Errors: `webhook_limited`. */
  admit(request: FastifyRequest, target: WebhookTarget): void;
  /** A webhook from there was proven. */
  proved(request: FastifyRequest, target: WebhookTarget): void;
  /** Counts what proved nothing; undefined: it did, or there may be more of them. */
  refused(
    request: FastifyRequest,
    target: WebhookTarget | undefined,
    error: HawserError,
  ): { error: HawserError; headers: Record<string, string> } | undefined;
}

export function createUnproven(deps: {
  failures: FailureLimit;
  callerAddress(request: FastifyRequest): string;
}): Unproven {
  const proven = new Recent<string, true>(PROVEN_MAX);
  const keyOf = (request: FastifyRequest, { environment, integration }: WebhookTarget): string =>
    `${environment.id}|${integration.id}|${deps.callerAddress(request)}`;
  return {
    admit(request, target) {
      // Without a length it may be any.
      if (Number(request.headers['content-length'] ?? Infinity) <= UNPROVEN_BYTES_MAX) return;
      const key = keyOf(request, target);
      if (!proven.has(key) && deps.failures.isUsedUp(key)) throw inboundErrors.fail('webhook_limited');
    },
    proved(request, target) {
      proven.set(keyOf(request, target), true);
    },
    refused(request, target, error) {
      if (target === undefined || !isAbout(target, error)) return undefined;
      const { allowed, headers } = deps.failures.take(keyOf(request, target));
      return allowed ? undefined : { error: inboundErrors.fail('webhook_limited', { cause: error }), headers };
    },
  };
}

/** A body that has to be read before it can prove anything may be unreadable, too. */
function isAbout({ integration }: WebhookTarget, error: HawserError): boolean {
  if (isHawserError(error, ...CODES)) return true;
  const { verify } = webhooksOf(integration);
  return isHawserError(error, 'webhook_invalid_payload') && verify.kind === 'token' && verify.in.paths !== undefined;
}
