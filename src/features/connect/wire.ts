/** Shapes that the import routes share (wire contract B.5). */
import { z } from 'zod';

/** Numbers below it are seconds: as milliseconds they would lie before 1972. Source: wire contract H.7. */
const SECONDS_BELOW = Date.UTC(1972, 0);
const TEXT_CHARS_MAX = 64;

/** When an imported token ends: ISO text, or milliseconds or seconds since 1970. Reads it as ISO text. */
export const expiresAtSchema = z.union([
  z.iso.datetime({ offset: true }),
  z.union([z.string().min(1).max(TEXT_CHARS_MAX), z.number()]).transform((given, context) => {
    const date = new Date(typeof given === 'number' && given < SECONDS_BELOW ? given * 1_000 : given);
    if (!Number.isNaN(date.getTime())) return date.toISOString();
    context.addIssue({ code: 'custom', message: 'Must be a time like 2027-01-31T12:00:00Z, or seconds since 1970' });
    return z.NEVER;
  }),
]);
