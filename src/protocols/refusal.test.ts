import { describe, expect, it } from 'vitest';
import { hiddenRefusal } from './refusal.ts';

const SPEC = { success: { path: 'ok', equals: true }, code: 'error', unauthorized: ['token_revoked', 'invalid_auth'] };
const read = (body: string, status = 200) => hiddenRefusal(SPEC, { status, body: Buffer.from(body) });

describe('a refusal behind a 200', () => {
  it('speaks of the credential, or of the call', () => {
    expect(read('{"ok":false,"error":"token_revoked"}')).toBe('unauthorized');
    expect(read('{"ok":false,"error":"invalid_auth","needed":"x"}')).toBe('unauthorized');
    expect(read('{"ok":false,"error":"channel_not_found"}')).toBe('refused');
    expect(read('{"ok":false,"error":{"deep":"token_revoked"}}')).toBe('refused');
    expect(read('{"ok":false}')).toBe('refused');
  });

  it('is not read into anything else', () => {
    expect(read('{"ok":true,"error":"token_revoked"}')).toBeUndefined();
    expect(read('{"error":"token_revoked"}')).toBeUndefined();
    expect(read('<html>token_revoked</html>')).toBeUndefined();
    expect(read('{"ok":false,"error":"token_rev')).toBeUndefined();
    expect(read('{"ok":false,"error":"token_revoked"}', 500)).toBeUndefined();
    expect(hiddenRefusal(undefined, { status: 200, body: Buffer.from('{"ok":false}') })).toBeUndefined();
  });
});
