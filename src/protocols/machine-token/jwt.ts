/** A token that is a JWT of our own making, signed with the customer's key. Source: RFC 7519; wire contract H.7. */
import type { JwtSpec } from '../../../catalogue/_spec/index.ts';
import { fillTemplate } from '../../base/template.ts';
import { fillTable, holesFor } from '../input.ts';
import { machineErrors } from './errors.ts';
import { customerHoles } from './fields.ts';
import { signJwt } from './jws.ts';
import type { MachineInput, TokenPlan } from './model.ts';

/** Errors: `key_not_usable`, `credential_incomplete`, and those of templates. */
export function planJwt(input: MachineInput & { spec: JwtSpec }): TokenPlan {
  const { spec, nowMs } = input;
  const holes = holesFor(input, customerHoles({ ...input.fields, ...halves(spec, input.fields) }));
  const key = fillTemplate(spec.key, holes.values, { fields: holes.fields });
  if (key === undefined) throw machineErrors.fail('credential_incomplete');
  const issuedSeconds = Math.floor(nowMs / 1_000);
  const expiresSeconds = issuedSeconds + spec.lifetimeSeconds;
  const accessToken = signJwt({
    algorithm: spec.algorithm,
    key: spec.algorithm === 'HS256' ? hmacKey(spec, key) : key,
    header: fillTable(spec.header ?? {}, holes),
    claims: { ...fillTable(spec.claims, holes), iat: issuedSeconds, exp: expiresSeconds },
  });
  const tokens = { ok: true as const, accessToken, expiresAtMs: expiresSeconds * 1_000, metadata: {}, raw: {} };
  return { kind: 'local', tokens };
}

/** `id:secret` as two values. Errors: `credential_incomplete`. */
function halves({ split }: JwtSpec, fields: Readonly<Record<string, string>>): Record<string, string> {
  if (split === undefined) return {};
  const whole = (fields[split.field] ?? '').trim();
  const at = whole.indexOf(split.at);
  const [left, right] = [whole.slice(0, Math.max(at, 0)), whole.slice(at + split.at.length)];
  if (at === -1 || left === '' || right === '') {
    throw machineErrors.fail('credential_incomplete', {
      message: `The key must have two parts with "${split.at}" between them. Copy it whole.`,
    });
  }
  return { [split.into[0]]: left, [split.into[1]]: right };
}

function hmacKey({ keyEncoding = 'hex' }: JwtSpec, text: string): Buffer {
  const fits = keyEncoding !== 'hex' || /^(?:[0-9a-f]{2})+$/i.test(text);
  if (!fits) throw machineErrors.fail('key_not_usable', { message: 'The secret must be hexadecimal. Copy it whole.' });
  return Buffer.from(text, keyEncoding);
}
