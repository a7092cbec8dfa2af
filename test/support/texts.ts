/**
 * Texts and URLs for properties. The `binary` unit of fast-check, and its URLs that are made of it, first make a table of
 * all characters there are: 1.4 s and 85 MB in every process that uses one.
 */
import * as fc from 'fast-check';

const character = fc
  .oneof(
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 0x7f }) },
    fc.integer({ min: 0x80, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  )
  .map((code) => String.fromCodePoint(code));

/** Any text of Unicode, half of it ASCII with its control characters. */
export const anyText = (limits: { maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.string({ unit: character, ...limits });

/** Part of a URL: what may stand in it as it is, and anything else encoded. */
const part = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."aZ09-._~!$&'()*+,;=:"), maxLength: 12 }),
  anyText({ maxLength: 8 }).map(encodeURIComponent),
);
const optional = (mark: string, of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.option(of, { nil: undefined }).map((text) => (text === undefined ? '' : mark + text));

/** `user:secret@host:port`, with any kind of host. */
export const anyAuthority = (): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.option(part, { nil: undefined }),
      fc.webAuthority({ withPort: true, withIPv4: true, withIPv4Extended: true, withIPv6: true }),
    )
    .map(([user, host]) => (user === undefined ? host : `${user}@${host}`));

/** `key=value&…`, encoded. */
export const anyQuery = (): fc.Arbitrary<string> =>
  fc.array(fc.tuple(part, part), { maxLength: 5 }).map((pairs) => pairs.map((pair) => pair.join('=')).join('&'));

/** A whole `http(s)` URL. */
export const anyUrl = (): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom('http://', 'https://'),
      anyAuthority(),
      fc.array(part, { maxLength: 4 }).map((parts) => parts.map((each) => `/${each}`).join('')),
      optional('?', anyQuery()),
      optional('#', part),
    )
    .map((pieces) => pieces.join(''));
