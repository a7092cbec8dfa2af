/** What a derived emulator tells about an account: made up, but of the kind that the provider file declares. */
import type { FieldSpec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { Account } from '../engine/types.ts';

/** The value that the provider tells for a `connection_config` key of this account. */
export function factOf(spec: ProviderSpec, key: string, account: Account): string {
  if (spec.account?.idFrom === key) return account.id;
  const field = spec.connectionConfig?.[key];
  return field === undefined ? account.id : madeUp(key, field, account);
}

function madeUp(key: string, field: FieldSpec, account: Account): string {
  switch (field.kind) {
    case 'url': {
      // The last of the list: not the one that somebody might have guessed.
      const host = field.hosts?.at(-1) ?? 'sample.example';
      return `https://${host.startsWith('.') ? `a${account.id.slice(0, 6)}${host}` : host}`;
    }
    case 'enum':
      return field.options?.at(-1) ?? '';
    case 'label':
      return `l${account.id.slice(0, 6)}`;
    case 'host':
      return `${account.id.slice(0, 6)}.sample.example`;
    case 'segment':
      return `${key.replaceAll(/[^A-Za-z0-9]/g, '')}-${account.id.slice(0, 6)}`;
    case 'text':
      return account.name;
  }
}
