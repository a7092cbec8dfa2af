/** What a typed value of a template may be, and how it is checked. */

/** What a value may be; see `catalogue/_spec`. */
export type FieldKind = 'label' | 'host' | 'segment' | 'url' | 'enum' | 'text';

/** The part of a field's declaration that decides about its values. */
export interface TemplateField {
  kind: FieldKind;
  /** For `kind: 'enum'`. */
  options?: readonly string[] | undefined;
  /** Used while no value is given. */
  default?: string | undefined;
  optional?: boolean | undefined;
  title?: string | undefined;
  /**
   * For `kind: 'url'`: the only hosts it may name, `api.example.com` exactly or `.example.com` for any name below. With
   * it the value is a bare `https` origin, because it comes from an answer and decides where secrets go.
   */
  hosts?: readonly string[] | undefined;
}

/** Longest whole host name (RFC 1035 2.3.4). */
const HOST_CHARS_MAX = 253;
/** Generous for ids and slugs, far below any server's limit for a path segment. */
const SEGMENT_CHARS_MAX = 255;
/** What browsers and proxies are known to take. */
const URL_CHARS_MAX = 2048;
/** Room for a long API key or a PEM key. */
const TEXT_CHARS_MAX = 16_384;

export const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const SEGMENT = /^[A-Za-z0-9._~@:+=,-]+$/;
const PORT = /^[1-9][0-9]{0,4}$/;

/**
 * Says in one sentence what is wrong with a value, or undefined. The sentence names the field and never the value.
 * Source: RFC 1123 2.1 for host names, WHATWG URL 3.5 for hosts that end in a number.
 */
export function checkField(field: TemplateField, value: unknown): string | undefined {
  const name = field.title ?? 'The value';
  if (typeof value !== 'string') return `${name} must be text.`;
  if (value === '') return field.optional ? undefined : `${name} must not be empty.`;
  switch (field.kind) {
    case 'label':
      return LABEL.test(value)
        ? undefined
        : `${name} must be one part of a host name: letters, digits and dashes only.`;
    case 'host':
      return isHost(value) ? undefined : `${name} must be a host name such as example.com, without https:// or a path.`;
    case 'segment':
      return isSegment(value)
        ? undefined
        : `${name} must be one word of at most ${SEGMENT_CHARS_MAX} letters, digits or . _ ~ @ : + = , -`;
    case 'url':
      if (field.hosts !== undefined) {
        return isOriginOf(value, field.hosts)
          ? undefined
          : `${name} must be an https address, without path, of: ${field.hosts.join(', ')}.`;
      }
      return parseWholeUrl(value) !== undefined
        ? undefined
        : `${name} must be a whole URL that starts with https:// and has no user name and no fragment.`;
    case 'enum':
      return (field.options ?? []).includes(value)
        ? undefined
        : `${name} must be one of: ${(field.options ?? []).join(', ')}.`;
    case 'text':
      if (value.length > TEXT_CHARS_MAX) return `${name} must be at most ${TEXT_CHARS_MAX} characters long.`;
      return hasControl(value, true) ? `${name} must not hold control characters.` : undefined;
  }
}

function isHost(text: string): boolean {
  const [host = '', port, ...rest] = text.split(':');
  if (rest.length > 0 || (port !== undefined && (!PORT.test(port) || Number(port) > 65_535))) return false;
  const labels = host.split('.');
  if (host.length > HOST_CHARS_MAX || labels.length < 2 || !labels.every((label) => LABEL.test(label))) return false;
  // A last label that is a number makes the whole host an IPv4 address (`0x7f.1`).
  return !/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? '') && canParseHost(host);
}

/** False for names that a URL parser refuses or rewrites, such as broken punycode. */
function canParseHost(host: string): boolean {
  return URL.parse(`https://${host}/`)?.hostname === host.toLowerCase();
}

function isSegment(text: string): boolean {
  return text.length <= SEGMENT_CHARS_MAX && SEGMENT.test(text) && !/^\.+$/.test(text);
}

/** The URL behind a `url` value, or undefined when it is not one a developer may set. */
export function parseWholeUrl(text: string): URL | undefined {
  if (text.length > URL_CHARS_MAX || !/^https?:\/\/[^\s\\@#]+$/i.test(text)) return undefined;
  if (text.includes('${') || hasControl(text, false)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.hostname === '' || url.hostname.endsWith('.') || url.port === '0') return undefined;
  return url;
}

/** True for an `https` origin on the default port whose host is listed. */
function isOriginOf(text: string, hosts: readonly string[]): boolean {
  const url = parseWholeUrl(text);
  if (url === undefined || url.protocol !== 'https:' || url.port !== '' || url.pathname !== '/' || url.search !== '') {
    return false;
  }
  const host = url.hostname;
  return hosts.some((listed) => (listed.startsWith('.') ? host.endsWith(listed) && isHost(host) : host === listed));
}

/** True for C0/C1 controls and, with `breaks` false, also for tab and line breaks. */
export function hasControl(text: string, breaks: boolean): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (breaks && (code === 9 || code === 10 || code === 13)) continue;
    if (code < 32 || (code >= 127 && code < 160)) return true;
  }
  return false;
}
