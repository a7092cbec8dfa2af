import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHawserError, StartupError } from '../../base/errors.ts';
import {
  createKeyring,
  generateKey,
  KEY_BYTES,
  keyIdOf,
  keyringFrom,
  openBytes,
  readKeyFile,
  sealBytes,
  sealedPrefix,
  type Keyring,
} from './index.ts';
import { startFakeKms } from './kms.test-support.ts';

const key = Buffer.alloc(KEY_BYTES, 7);
const only = (id: string) => (asked: string) => (asked === id ? key : undefined);

describe('sealed values', () => {
  it('open in their place; the bytes name the key', () => {
    const sealed = sealBytes(key, 'seal_1', '1|credential|2|sealed', Buffer.from('a secret'));
    expect(keyIdOf(sealed)).toBe('seal_1');
    expect(sealed.subarray(0, sealedPrefix('seal_1').length)).toEqual(sealedPrefix('seal_1'));
    expect(openBytes(only('seal_1'), '1|credential|2|sealed', sealed).toString()).toBe('a secret');
    expect(sealed.toString('latin1')).not.toContain('a secret');
  });

  it('abuse 26: 100,000 nonces, none twice', () => {
    const start = sealedPrefix('seal_1').length;
    const nonces = new Set<string>();
    for (let round = 0; round < 100_000; round += 1) {
      nonces.add(
        sealBytes(key, 'seal_1', 'c', Buffer.alloc(1))
          .subarray(start, start + 12)
          .toString('latin1'),
      );
    }
    expect(nonces.size).toBe(100_000);
  });

  it('abuse 26: no changed byte, no cut and no other place opens', () => {
    const context = '1|credential|2|sealed';
    const sealed = sealBytes(key, 'seal_1', context, Buffer.from('a secret'));
    const isRefused = (place: string, bytes: Buffer): boolean => {
      try {
        openBytes(only('seal_1'), place, bytes);
        return false;
      } catch (error) {
        return isHawserError(error, 'sealed');
      }
    };
    for (let at = 0; at < sealed.length; at += 1) {
      for (const flip of [0x01, 0x80]) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] as number) ^ flip;
        expect(isRefused(context, changed), `byte ${at}`).toBe(true);
      }
      expect(isRefused(context, sealed.subarray(0, at)), `cut at ${at}`).toBe(true);
    }
    fc.assert(fc.property(fc.string(), (place) => place === context || isRefused(place, sealed)));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => isRefused(context, Buffer.from(bytes))));
  });
});

describe('keyring', () => {
  it('reads with every key and writes with the first', async () => {
    const [old, fresh] = [generateKey(), generateKey()];
    const before = keyringFrom(old) as Keyring;
    const both = keyringFrom(fresh, [old]) as Keyring;
    const wrapped = await before.wrap(key, 'data_key|1|a');
    expect(await both.unwrap(before.activeId, wrapped, 'data_key|1|a')).toEqual(key);
    expect(both.ids).toEqual([both.activeId, before.activeId]);
    expect(keyIdOf(await both.wrap(key, 'data_key|1|a'))).toBe(both.activeId);
    const after = keyringFrom(fresh) as Keyring;
    expect(after.activeId).toBe(both.activeId);
    expect(after.has(before.activeId)).toBe(false);
    await expect(after.unwrap(before.activeId, wrapped, 'data_key|1|a')).rejects.toMatchObject({ code: 'sealed' });
    // Under the name of another key.
    await expect(both.unwrap(both.activeId, wrapped, 'data_key|1|a')).rejects.toMatchObject({ code: 'sealed' });
    await expect(both.unwrap(before.activeId, wrapped, 'data_key|2|a')).rejects.toMatchObject({ code: 'sealed' });
  });

  it('the same key as hex, as base64 and twice is one key', () => {
    const bytes = Buffer.alloc(KEY_BYTES, 200);
    const forms = [
      bytes.toString('hex'),
      bytes.toString('base64'),
      bytes.toString('base64url'),
      ` ${bytes.toString('hex')}\n`,
    ];
    expect(new Set(forms.map((form) => keyringFrom(form)?.activeId)).size).toBe(1);
    expect(keyringFrom(forms[0] as string, forms)?.ids).toHaveLength(1);
  });

  it.each([
    ['', 'nothing'],
    ['short', 'too short'],
    [Buffer.alloc(31).toString('base64'), '31 bytes'],
    [Buffer.alloc(33).toString('base64'), '33 bytes'],
    [`${Buffer.alloc(32, 1).toString('hex').slice(0, 63)}g`, 'a typing error in hex'],
    [`!${generateKey().slice(1)}`, 'a typing error in base64'],
  ])('refuses %j: %s', (text) => {
    expect(keyringFrom(text)).toBeUndefined();
    expect(keyringFrom(generateKey(), [text])).toBeUndefined();
  });

  it('keys in a key service: bound to their context, and another error when it is away', async () => {
    const kms = startFakeKms();
    const keyring = createKeyring(kms.createKey('kms:prod/1'), [kms.createKey('kms:prod/0')]);
    const wrapped = await keyring.wrap(key, 'data_key|1|a');
    expect(await keyring.unwrap('kms:prod/1', wrapped, 'data_key|1|a')).toEqual(key);
    await expect(keyring.unwrap('kms:prod/1', wrapped, 'data_key|2|a')).rejects.toMatchObject({ code: 'sealed' });
    await expect(keyring.unwrap('kms:prod/0', wrapped, 'data_key|1|a')).rejects.toMatchObject({ code: 'sealed' });
    kms.up = false;
    const away = { code: 'key_service_unavailable', retryable: true };
    await expect(keyring.unwrap('kms:prod/1', wrapped, 'data_key|1|a')).rejects.toMatchObject(away);
    await expect(keyring.wrap(key, 'data_key|1|a')).rejects.toMatchObject(away);
  });
});

describe('key file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hawser-keys-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function file(content: string, mode = 0o600): Promise<string> {
    const path = join(folder, `${Math.random()}.key`);
    await writeFile(path, content);
    await chmod(path, mode);
    return path;
  }

  it('one key a line, comments and empty lines apart', async () => {
    expect(await readKeyFile(await file('# new\n one \n\ntwo\r\n'))).toEqual(['one', 'two']);
    expect(await readKeyFile(join(folder, 'missing'))).toBeUndefined();
  });

  it.each([0o604, 0o644, 0o620, 0o602])('a file of mode %o is refused, without its content', async (mode) => {
    const failure = await readKeyFile(await file('the-secret\n', mode)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StartupError);
    expect((failure as StartupError).message).toContain(mode.toString(8));
    expect(`${(failure as StartupError).message} ${(failure as StartupError).hint}`).not.toContain('the-secret');
  });

  it('owner and reading group are fine; no key and a wrong kind of file are not', async () => {
    for (const mode of [0o400, 0o600, 0o440, 0o640]) expect(await readKeyFile(await file('a\n', mode))).toEqual(['a']);
    await expect(readKeyFile(await file('# none\n'))).rejects.toThrow(/no key/);
    await expect(readKeyFile(await file('a\n'.repeat(101)))).rejects.toThrow(/too many/);
    await expect(readKeyFile(folder)).rejects.toThrow(StartupError);
  });
});
