/**
 * Templates of a provider file read backwards: what a server sees of them, and what it can take out of a request.
 */

const HOLE = /\$\{([^}]+)\}/g;
const ALTERNATIVE = ' || ';

/** The alternatives of `A || B`. */
export function alternativesOf(template: string): string[] {
  return template.split(ALTERNATIVE);
}

export function hasHoles(template: string): boolean {
  return template.includes('${');
}

/**
 * The values that stand in the holes of a template that gave `text`; undefined when none of its alternatives did. A hole
 * that occurs twice must hold the same value.
 */
export function capture(template: string, text: string): Record<string, string> | undefined {
  for (const alternative of alternativesOf(template)) {
    const values = captureOne(alternative, text);
    if (values !== undefined) return values;
  }
  return undefined;
}

function captureOne(template: string, text: string): Record<string, string> | undefined {
  const names: string[] = [];
  const parts = template.split(HOLE);
  // Odd parts are the names of holes.
  const pattern = parts
    .map((part, index) => {
      if (index % 2 === 0) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
      names.push(part);
      return '(.+)';
    })
    .join('');
  const match = new RegExp(`^${pattern}$`).exec(text);
  if (match === null) return undefined;
  const values: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const value = match[index + 1] ?? '';
    if (Object.hasOwn(values, name) && values[name] !== value) return undefined;
    values[name] = value;
  }
  return values;
}

/**
 * The path of a URL template as the engine matches it, one per alternative: a segment with a hole is `:client_id` or
 * another `:name`. The host is lost, as on the emulator's own address. `settings`: the developer's own URLs; an
 * alternative whose URL is not set is left out.
 */
export function pathPatterns(template: string, settings: Readonly<Record<string, string>>): string[] {
  return alternativesOf(template).flatMap((alternative) => {
    const path = pathOf(alternative, settings);
    return path === undefined ? [] : [path];
  });
}

function pathOf(template: string, settings: Readonly<Record<string, string>>): string | undefined {
  const start = /^\$\{([^}]+)\}/.exec(template);
  let path = template.replace(/^https?:\/\/[^/?#]*/, '');
  if (start !== null) {
    const [hole, name = ''] = start;
    const [group, key = ''] = name.split('.');
    const own = group === 'integrationConfig' ? settings[key] : '';
    if (own === undefined) return undefined;
    path = `${own === '' ? '' : new URL(own).pathname.replace(/\/$/, '')}${template.slice(hole.length)}`;
  }
  const segments = path.replace(/[?#].*$/, '').split('/');
  const shown = segments.map((segment, index) => {
    if (segment.includes('${clientId}')) return ':client_id';
    return hasHoles(segment) ? `:part${index}` : segment;
  });
  return shown.join('/') || '/';
}

/** Another value of the same type. */
export function unlike(value: string | number | boolean): string | number | boolean {
  if (typeof value === 'boolean') return !value;
  return typeof value === 'number' ? value + 1 : `not ${value}`;
}

/** Sets a value at a dotted path, making the objects on the way. */
export function setAt<T>(target: { [key: string]: T | object }, path: string, value: T): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let place = target;
  for (const key of keys) {
    const next = place[key];
    if (typeof next === 'object' && next !== null) place = next as typeof target;
    else place = (place[key] = {}) as typeof target;
  }
  place[last] = value;
}
