/**
 * The template language of the catalogue: `${a.b}` holes and `A || B` (B while A has an empty hole). A value is filled
 * in once and never read as a template again. In a URL a value is typed ({@link FieldKind}), so that it can neither
 * change the host nor add a path segment, and the finished URL is compared with its template once more.
 */
import { defineErrors } from './errors.ts';
import { checkField, hasControl, LABEL, parseWholeUrl, type FieldKind, type TemplateField } from './field.ts';

export { checkField, type FieldKind, type TemplateField } from './field.ts';

/** Declared holes by full name: `connectionConfig.subdomain`. */
export type TemplateFields = Readonly<Record<string, TemplateField>>;

/** Values by full hole name. Anything but a string is refused when its hole is filled. */
export type TemplateValues = Readonly<Record<string, unknown>>;

export const templateErrors = defineErrors({
  template_value_missing: { status: 400, message: 'A value that this provider needs is missing.' },
  template_value_invalid: { status: 400, message: 'A value of this connection does not fit what the provider needs.' },
  /** A fault of a catalogue file; the conformance tests exclude it for the shipped ones. */
  template_broken: { status: 500, message: 'The provider file holds a template that cannot be used.' },
});

const HOLE = /\$\{([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_-]+)?)\}/g;
const ALTERNATIVE = ' || ';

/** The names of the holes of a template, each once, in order. */
export function holesOf(template: string): string[] {
  return [...new Set([...template.matchAll(HOLE)].map((match) => match[1] as string))];
}

/** The alternatives of `A || B`, in order of preference. */
export function alternativesOf(template: string): string[] {
  return template.split(ALTERNATIVE);
}

/** True when a `${` is left that is no hole: a slip in a provider file. */
export function hasBrokenHole(template: string): boolean {
  return template.replaceAll(HOLE, '').includes('${');
}

/**
 * Where the filled text goes. `none`: as it is. `segment`: percent-encoded for a URL part. `header`: as it is, but a
 * value that could break a header line is refused.
 */
export type Encode = 'none' | 'segment' | 'header';

/**
 * Fills a template. Resolves to undefined when every alternative has an empty hole. Default encoding `none`.
 * Errors: `template_value_invalid` (not text, or not fit for a header line).
 */
export function fillTemplate(
  template: string,
  values: TemplateValues,
  options: { encode?: Encode; fields?: TemplateFields } = {},
): string | undefined {
  for (const alternative of alternativesOf(template)) {
    const filled = fillOne(alternative, values, options.fields ?? {}, options.encode ?? 'none');
    if (filled !== undefined) return filled;
  }
  return undefined;
}

function fillOne(template: string, values: TemplateValues, fields: TemplateFields, encode: Encode): string | undefined {
  let empty = false;
  const filled = template.replaceAll(HOLE, (_, name: string) => {
    const value = valueOf(name, values, fields);
    if (value === undefined) empty = true;
    else if (encode === 'segment') return encodeURIComponent(value);
    else if (encode === 'header' && hasControl(value, false)) throw invalid(name, fields, 'holds a control character');
    return value ?? '';
  });
  return empty ? undefined : filled;
}

/** The checked value of a hole; undefined while it is empty. */
function valueOf(name: string, values: TemplateValues, fields: TemplateFields): string | undefined {
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  let value: unknown = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined || value === null || value === '') value = field?.default;
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw invalid(name, fields, 'must be text');
  if (field === undefined) return value;
  const wrong = checkField({ ...field, title: field.title ?? name }, value);
  if (wrong !== undefined)
    throw templateErrors.fail('template_value_invalid', { message: wrong, payload: { field: name } });
  return value;
}

function invalid(name: string, fields: TemplateFields, what: string): Error {
  const title = (Object.hasOwn(fields, name) ? fields[name]?.title : undefined) ?? name;
  return templateErrors.fail('template_value_invalid', { message: `${title} ${what}.`, payload: { field: name } });
}

/**
 * Fills a URL template. Every hole must be declared in `fields`; `text` is never allowed. Resolves to undefined when
 * every alternative has an empty hole.
 * Errors: `template_value_invalid`, `template_broken`.
 */
export function fillUrlIfComplete(template: string, fields: TemplateFields, values: TemplateValues): URL | undefined {
  for (const alternative of alternativesOf(template)) {
    const url = fillOneUrl(alternative, fields, values);
    if (url !== undefined) return url;
  }
  return undefined;
}

/** As {@link fillUrlIfComplete}, but an empty hole is an error. Errors: also `template_value_missing`. */
export function fillUrl(template: string, fields: TemplateFields, values: TemplateValues): URL {
  const url = fillUrlIfComplete(template, fields, values);
  if (url !== undefined) return url;
  const name = holesOf(template).find((hole) => valueOf(hole, values, fields) === undefined) ?? '';
  throw missingValue(name, fields);
}

/** The error for an empty hole. */
export function missingValue(name: string, fields: TemplateFields): Error {
  const title = (Object.hasOwn(fields, name) ? fields[name]?.title : undefined) ?? name;
  return templateErrors.fail('template_value_missing', { message: `${title} is missing.`, payload: { field: name } });
}

function fillOneUrl(template: string, fields: TemplateFields, values: TemplateValues): URL | undefined {
  const shape = shapeOf(template, fields);
  if (typeof shape === 'string') throw templateErrors.fail('template_broken', { detail: `${shape}: ${template}` });
  const filled: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const name of holesOf(template)) {
    const value = valueOf(name, values, fields);
    if (value === undefined) return undefined;
    filled[name] = value;
  }
  const { whole } = shape;
  if (whole !== undefined) return joinWhole(whole, template, fields, filled);

  const path = template
    .slice(shape.authorityEnd)
    .replaceAll(HOLE, (_, name: string) => encodeURIComponent(filled[name] ?? ''));
  const authority = shape.authority.replaceAll(HOLE, (_, name: string) => filled[name] ?? '').toLowerCase();
  const url = URL.parse(`${shape.scheme}//${authority}${path}`);
  const expected = URL.parse(`${shape.scheme}//${authority}/`);
  if (url === null || expected === null)
    throw invalid(holesOf(template)[0] ?? '', fields, 'does not make a valid address');
  assertSameShape(url, shape, authority, template, fields);
  return url;
}

/** A developer's own URL, perhaps with more path behind it. */
function joinWhole(hole: string, template: string, fields: TemplateFields, filled: Record<string, string>): URL {
  const base = parseWholeUrl(filled[hole] ?? '');
  if (base === undefined) throw invalid(hole, fields, 'must be a whole URL');
  const rest = template.slice(`\${${hole}}`.length);
  if (rest === '') return base;
  if (base.search !== '') throw invalid(hole, fields, 'must have no query');
  const tail = rest.replaceAll(HOLE, (_, name: string) => encodeURIComponent(filled[name] ?? ''));
  const start = base.href.replace(/\/$/, '');
  const url = URL.parse(`${start}${tail}`);
  const [tailPath = ''] = tail.split(/[?#]/);
  if (url === null || url.origin !== base.origin || url.pathname !== `${base.pathname.replace(/\/$/, '')}${tailPath}`) {
    throw invalid(hole, fields, 'does not make a valid address');
  }
  return url;
}

/** What the holes may do to a URL, worked out before any value is looked at. */
interface UrlShape {
  scheme: string;
  authority: string;
  authorityEnd: number;
  /** The template filled with safe samples. */
  sample: URL;
  /** The hole that holds the whole start of the URL. */
  whole: string | undefined;
}

const SAMPLES: Record<Exclude<FieldKind, 'enum' | 'text'>, string> = {
  label: 'sample',
  host: 'sample.example',
  segment: 'sample',
  url: 'https://sample.example',
};

/** The shape of a URL template, or a sentence about what is wrong with it. */
function shapeOf(template: string, fields: TemplateFields): UrlShape | string {
  if (hasBrokenHole(template)) return 'a hole is misspelled';
  for (const name of holesOf(template)) {
    if (!Object.hasOwn(fields, name)) return `\${${name}} is not declared`;
    if (fields[name]?.kind === 'text') return `\${${name}} is of kind text, which a URL never takes`;
  }
  const [start] = holesOf(template);
  if (start !== undefined && template.startsWith(`\${${start}}`)) {
    if (fields[start]?.kind !== 'url') return `\${${start}} stands at the start but is not of kind url`;
    const rest = template.slice(`\${${start}}`.length);
    if (rest !== '' && !rest.startsWith('/')) return `behind \${${start}} only a path may follow`;
    if (holesOf(rest).some((name) => !inPath(fields[name]?.kind)))
      return 'only segment, label or enum holes may follow';
    const sample = new URL(`${SAMPLES.url}${rest.replaceAll(HOLE, 'sample')}`);
    return { scheme: 'https:', authority: '', authorityEnd: 0, sample, whole: start };
  }
  const match = /^(https?:)\/\/([^/?#]*)/.exec(template);
  if (match === null) return 'it does not start with https://';
  const [head, scheme = '', authority = ''] = match;
  const wrong = authorityProblem(authority, fields) ?? pathProblem(template.slice(head.length), fields);
  if (wrong !== undefined) return wrong;
  const sample = URL.parse(template.replaceAll(HOLE, (_, name: string) => sampleOf(fields[name] as TemplateField)));
  if (sample === null) return 'it is no URL';
  return { scheme, authority, authorityEnd: head.length, sample, whole: undefined };
}

function authorityProblem(authority: string, fields: TemplateFields): string | undefined {
  if (authority === '' || authority.includes('@')) return 'it has no host, or a user name';
  for (const name of holesOf(authority)) {
    const field = fields[name] as TemplateField;
    const suffix = authority.slice(authority.lastIndexOf(`\${${name}}`) + `\${${name}}`.length);
    if (field.kind === 'host') {
      if (authority !== `\${${name}}`) return `\${${name}} is of kind host and must be the whole host`;
    } else if (field.kind === 'label') {
      // Two fixed labels at least: `${x}.com` would let the customer choose any site.
      if (!/^[a-z0-9-]*(?:\.[a-z0-9-]+){2,}(?::[0-9]+)?$/i.test(suffix.replaceAll(HOLE, 'x'))) {
        return `\${${name}} must be followed by at least two fixed labels`;
      }
      if (holesOf(suffix).some((other) => fields[other]?.kind === 'label')) return 'two label holes share one host';
    } else if (field.kind === 'enum') {
      const safe = (option: string) => option.split('.').every((label) => LABEL.test(label));
      if (!(field.options ?? []).every(safe)) return `an option of \${${name}} is no part of a host`;
    } else {
      return `\${${name}} is of kind ${field.kind}, which a host never takes`;
    }
  }
  return undefined;
}

function inPath(kind: FieldKind | undefined): boolean {
  return kind === 'segment' || kind === 'label' || kind === 'enum';
}

function pathProblem(path: string, fields: TemplateFields): string | undefined {
  const wrong = holesOf(path).find((name) => !inPath(fields[name]?.kind));
  return wrong === undefined ? undefined : `\${${wrong}} may not stand behind the host`;
}

/** Says in one sentence why a URL template cannot be used, or undefined. For the checks of the catalogue. */
export function urlTemplateProblem(template: string, fields: TemplateFields): string | undefined {
  for (const alternative of alternativesOf(template)) {
    const shape = shapeOf(alternative, fields);
    if (typeof shape === 'string') return shape;
  }
  return undefined;
}

/** The host of a URL template filled with safe samples; undefined for one that a developer sets whole. */
export function sampleHost(template: string, fields: TemplateFields): string | undefined {
  const shape = shapeOf(template, fields);
  return typeof shape === 'string' || shape.whole !== undefined ? undefined : shape.sample.host;
}

function sampleOf(field: TemplateField): string {
  if (field.kind === 'enum') return field.options?.[0] ?? 'sample';
  return field.kind === 'text' ? '' : SAMPLES[field.kind];
}

/**
 * The last line of defence: the host is exactly the template's with its holes filled, and neither user name nor path
 * segments came in. Unreachable while {@link checkField} holds.
 */
function assertSameShape(url: URL, shape: UrlShape, authority: string, template: string, fields: TemplateFields): void {
  const { sample } = shape;
  const defaultPort = shape.scheme === 'https:' ? ':443' : ':80';
  const host = authority.endsWith(defaultPort) ? authority.slice(0, -defaultPort.length) : authority;
  const ok =
    url.protocol === shape.scheme &&
    url.host === host &&
    url.username === '' &&
    url.password === '' &&
    segments(url) === segments(sample) &&
    (url.search === '') === (sample.search === '') &&
    count(url.search, '&') === count(sample.search, '&') &&
    (url.hash === '') === (sample.hash === '');
  if (!ok) throw invalid(holesOf(template)[0] ?? '', fields, 'does not make a valid address');
}

function segments(url: URL): number {
  return count(url.pathname, '/');
}

function count(text: string, char: string): number {
  return text.split(char).length - 1;
}
