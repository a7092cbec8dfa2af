import { describe, expect, it } from 'vitest';
import { addressKey, createTrust } from './address.ts';

describe('addressKey', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe('createTrust', () => {
  it('trusts what is listed, in whatever clothes, and nothing else', () => {
    const trusts = createTrust(['10.0.0.7', '172.16.0.0/12', '2001:db8::/32', '::1']);
    for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '172.31.255.255', '2001:db8:ffff::1', '::1']) {
      expect([address, trusts(address)]).toEqual([address, true]);
    }
    for (const address of [
      '10.0.0.8',
      '172.32.0.0',
      '2001:db9::1',
      '127.0.0.1',
      '',
      'localhost',
      '10.0.0.7, 1.1.1.1',
    ]) {
      expect([address, trusts(address)]).toEqual([address, false]);
    }
  });

  it('trusts nobody by default', () => {
    expect(createTrust([])('127.0.0.1')).toBe(false);
  });
});
