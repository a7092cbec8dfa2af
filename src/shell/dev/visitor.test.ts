import { describe, expect, it } from 'vitest';
import { isThisMachine } from './visitor.ts';

describe('a visitor on this machine', () => {
  it.each(['localhost:3003', '127.0.0.1:3003', '[::1]:3003', 'localhost'])('asks for %s', (host) => {
    expect(isThisMachine({ ip: '127.0.0.1', headers: { host } })).toBe(true);
    expect(isThisMachine({ ip: '::1', headers: { host } })).toBe(true);
  });

  it.each([
    ['comes from elsewhere', '192.0.2.1', { host: 'localhost:3003' }],
    ['names no host', '127.0.0.1', {}],
    ['comes through a tunnel, by the public name', '127.0.0.1', { host: 'abc.tunnel.example' }],
    ['by a name that begins like ours', '127.0.0.1', { host: 'localhost.example:3003' }],
    ['comes through a proxy', '127.0.0.1', { host: 'localhost:3003', 'x-forwarded-for': '203.0.113.9' }],
    ['comes through a proxy that says its own name', '::1', { host: 'localhost:3003', via: '1.1 proxy' }],
  ])('is not one that %s', (_what, ip, headers) => {
    expect(isThisMachine({ ip, headers })).toBe(false);
  });
});
