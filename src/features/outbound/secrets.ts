/** Secrets of endpoints: made, sealed in their row, opened to sign. */
import { randomSecret } from '../../base/ids.ts';
import { secretText } from '../../protocols/event-signing.ts';
import type { Vault } from '../environments/index.ts';

type Column = 'secret_sealed' | 'previous_secret_sealed';

function placeOf(environmentId: number, id: string, column: Column) {
  return { environmentId, table: 'endpoint', row: id, column };
}

/** A new secret: `whsec_` and 32 random bytes. */
export function newSecret(): string {
  return secretText(Buffer.from(randomSecret(), 'hex'));
}

export function sealSecret(
  vault: Vault,
  endpoint: { environmentId: number; id: string },
  secret: string,
  column: Column = 'secret_sealed',
): Promise<Buffer> {
  return vault.seal(placeOf(endpoint.environmentId, endpoint.id, column), secret);
}

/** The secrets that sign, the newest first: two during a rotation. */
export async function openSecrets(
  vault: Vault,
  row: { environment_id: number; id: string; secret_sealed: Buffer; previous_secret_sealed: Buffer | null },
): Promise<string[]> {
  const secrets = [await vault.open(placeOf(row.environment_id, row.id, 'secret_sealed'), row.secret_sealed)];
  if (row.previous_secret_sealed !== null) {
    const place = placeOf(row.environment_id, row.id, 'previous_secret_sealed');
    secrets.push(await vault.open(place, row.previous_secret_sealed));
  }
  return secrets;
}
