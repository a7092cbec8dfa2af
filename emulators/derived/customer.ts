/**
 * What the owner of an account would type into the provider's form: made up, the same each time, and what the emulator
 * holds a request against.
 */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { Account } from '../engine/types.ts';

interface Pair {
  privatePem: string;
  publicKey: KeyObject;
}

const pairs = new Map<'rsa' | 'ec', Pair>();

/** One pair for all accounts: who signs is told by the names beside the key. Made at the first use. */
export function customerPair(kind: 'rsa' | 'ec'): Pair {
  let pair = pairs.get(kind);
  if (pair === undefined) {
    const made =
      kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const privatePem = made.privateKey.export({ type: 'pkcs8', format: 'pem' });
    pair = { privatePem: String(privatePem), publicKey: made.publicKey };
    pairs.set(kind, pair);
  }
  return pair;
}

/** `rsa` or `ec`, by the algorithm of a signature. */
export function pairKind(algorithm: string): 'rsa' | 'ec' {
  return algorithm === 'ES256' ? 'ec' : 'rsa';
}

/** The values of the provider's form for this account. `algorithm`: of what the form's key signs. */
export function customerForm(spec: ProviderSpec, account: Account, algorithm: string): Record<string, string> {
  const form: Record<string, string> = {};
  for (const [name, field] of Object.entries(spec.credentials ?? {})) {
    if (name === 'client_certificate') continue; // a plain server sees no certificate
    form[name] = valueOf(spec, name, field.secret === true, account, algorithm);
  }
  return form;
}

function valueOf(spec: ProviderSpec, name: string, secret: boolean, account: Account, algorithm: string): string {
  const hex = createHash('sha256').update(`${account.id} ${name}`).digest('hex');
  const { jwt } = spec;
  if (jwt?.split?.field === name) return `${hex.slice(0, 24)}${jwt.split.at}${hex}`;
  if (spec.sigv4 !== undefined && name === 'role_arn') return `arn:aws:iam::123456789012:role/${hex.slice(0, 12)}`;
  const field = spec.credentials?.[name];
  if (field?.kind === 'enum') return field.default ?? field.options?.[0] ?? '';
  const isKey = name === 'client_private_key' || jwt?.key === `\${credentials.${name}}`;
  if (isKey && algorithm !== 'HS256') return customerPair(pairKind(algorithm)).privatePem;
  return secret ? hex : `id-${hex.slice(0, 20)}`;
}

/** The form with the halves of a value that holds two. */
export function withHalves(spec: ProviderSpec, form: Record<string, string>): Record<string, string> {
  const { split } = spec.jwt ?? {};
  if (split === undefined) return form;
  const whole = form[split.field] ?? '';
  const at = whole.indexOf(split.at);
  return { ...form, [split.into[0]]: whole.slice(0, at), [split.into[1]]: whole.slice(at + split.at.length) };
}
