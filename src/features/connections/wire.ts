/** Shapes that every route about connections shares (wire contract A.6, B.5). */
import { z } from 'zod';
import type { EndUser } from './model.ts';
import type { ListedConnection } from './store-list.ts';

/** What a connection id may look like: e-mail addresses and JSON text pass. */
export const CONNECTION_ID = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^[a-zA-Z0-9,.;:=+~[\]|@${}"'\\/_ -]+$/,
    'Letters, digits, space and , . ; : = + ~ [ ] | @ $ { } " \' \\ / _ - only.',
  );

export const TAGS_MAX = 10;
const TAG_KEY = /^[a-zA-Z][a-zA-Z0-9_\-./]*$/;
/** Dots part the domain in one way only: the work stays in proportion to the text, which zod measures afterwards. */
const EMAIL = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$/;

/** The app's own labels; keys are stored in lower case. */
export const tagsSchema = z
  .record(z.string().regex(TAG_KEY, 'A tag key starts with a letter.').max(64), z.string().min(1).max(255))
  .superRefine((tags, context) => {
    const keys = Object.keys(tags).map((key) => key.toLowerCase());
    if (keys.length > TAGS_MAX) context.addIssue({ code: 'custom', message: `At most ${TAGS_MAX} tags.` });
    if (new Set(keys).size !== keys.length) {
      context.addIssue({ code: 'custom', message: 'Two tag keys are equal in lower case.' });
    }
    for (const [key, value] of Object.entries(tags)) {
      if (key.toLowerCase() === 'end_user_email' && !EMAIL.test(value)) {
        context.addIssue({ code: 'custom', message: 'end_user_email must be an e-mail address.', path: [key] });
      }
    }
  })
  .transform((tags) => Object.fromEntries(Object.entries(tags).map(([key, value]) => [key.toLowerCase(), value])));

export const endUserSchema = z.strictObject({
  id: z.string().min(1).max(255),
  email: z.string().max(255).regex(EMAIL, 'Not an e-mail address.').optional(),
  display_name: z.string().max(255).optional(),
  tags: z.record(z.string(), z.string()).optional(),
});

export const organizationSchema = z.strictObject({
  id: z.string().min(1).max(255),
  display_name: z.string().max(255).optional(),
});

/** A URL the app's events go to instead; empty text clears. */
export const webhookOverrideSchema = z.union([z.literal(''), z.url({ protocol: /^https?$/ }).max(2_048)]);

export function readEndUser(
  user: z.output<typeof endUserSchema> | undefined,
  organization?: z.output<typeof organizationSchema>,
): EndUser | undefined {
  if (user === undefined) return undefined;
  return {
    id: user.id,
    email: user.email,
    displayName: user.display_name,
    tags: user.tags ?? {},
    organization: organization && { id: organization.id, displayName: organization.display_name },
  };
}

/** Tags that follow from the end user; explicit ones win, and what exceeds ten is dropped (A.6). */
export function tagsFor(user: EndUser | undefined, explicit: Record<string, string> = {}): Record<string, string> {
  const derived: [string, string | undefined][] = [
    ['end_user_id', user?.id],
    ['end_user_email', user?.email],
    ['end_user_display_name', user?.displayName],
    ['organization_id', user?.organization?.id],
    ['organization_display_name', user?.organization?.displayName],
    ...Object.entries(user?.tags ?? {}),
  ];
  const tags = new Map(Object.entries(explicit));
  for (const [name, value] of derived) {
    const key = name.toLowerCase().slice(0, 64);
    if (value !== undefined && value !== '' && TAG_KEY.test(key) && !tags.has(key) && tags.size < TAGS_MAX) {
      tags.set(key, value.slice(0, 255));
    }
  }
  return Object.fromEntries(tags);
}

export function endUserToWire(user: EndUser | undefined) {
  if (user === undefined) return null;
  return {
    id: user.id,
    display_name: user.displayName ?? null,
    email: user.email ?? null,
    tags: user.tags,
    organization:
      user.organization === undefined
        ? null
        : { id: user.organization.id, display_name: user.organization.displayName ?? null },
  };
}

/** States in which the customer or the operator has to do something: shown as an auth error on the wire. */
const BROKEN_STATES: readonly string[] = ['needs_reauth', 'revoked_by_provider'];

/** `errors` of the wire: a broken credential is one of type `auth`. */
export function errorsToWire(state: string, reason: string | undefined): { type: 'auth'; log_id: string }[] {
  return BROKEN_STATES.includes(state) ? [{ type: 'auth', log_id: reason ?? state }] : [];
}

export function listedToWire(row: ListedConnection) {
  return {
    id: row.id,
    connection_id: row.connectionId,
    provider_config_key: row.integrationKey,
    provider: row.provider,
    errors: errorsToWire(row.state, row.stateReason),
    end_user: endUserToWire(row.endUser),
    tags: row.tags,
    metadata: row.metadata,
    created: row.createdAt.toISOString(),
    state: row.state,
    state_reason: row.stateReason ?? null,
    state_since: row.stateSince.toISOString(),
    emulated: row.emulated,
  };
}

/** `2026-01-02T03:04:05.678+00:00`, the form that GET /connections/:id answers with (B.5). */
export function offsetDate(date: Date): string {
  return date.toISOString().replace('Z', '+00:00');
}
