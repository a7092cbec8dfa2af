import { isHawserError } from '../../base/errors.ts';
import { keyringErrors } from './errors.ts';
import { localKey } from './local-key.ts';
import type { Keyring, KeyWrapper } from './model.ts';

/** A keyring of keys that live anywhere: `active` wraps, `others` are read only. The same key twice counts once. */
export function createKeyring(active: KeyWrapper, others: readonly KeyWrapper[] = []): Keyring {
  const wrappers = new Map<string, KeyWrapper>();
  for (const wrapper of [active, ...others]) if (!wrappers.has(wrapper.id)) wrappers.set(wrapper.id, wrapper);
  return {
    activeId: active.id,
    ids: [...wrappers.keys()],
    has: (kekId) => wrappers.has(kekId),
    wrap: (dataKey, context) => asked(active.id, () => active.wrap(dataKey, context)),
    async unwrap(kekId, wrapped, context) {
      const wrapper = wrappers.get(kekId);
      if (wrapper === undefined) throw keyringErrors.fail('sealed', { detail: `key ${kekId} is not here` });
      return asked(kekId, () => wrapper.unwrap(wrapped, context));
    },
  };
}

/** A keyring of keys as text. Undefined when one of them is not 32 bytes as base64 or hex. */
export function keyringFrom(active: string, others: readonly string[] = []): Keyring | undefined {
  const [first, ...rest] = [active, ...others].map(localKey);
  if (first === undefined || rest.includes(undefined)) return undefined;
  return createKeyring(first, rest as KeyWrapper[]);
}

/** What a key service throws is its own; callers see one of two codes. */
async function asked(kekId: string, ask: () => Promise<Buffer>): Promise<Buffer> {
  try {
    return await ask();
  } catch (cause) {
    if (isHawserError(cause)) throw cause;
    throw keyringErrors.fail('key_service_unavailable', { detail: `key ${kekId}`, cause });
  }
}
