import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { classifyAddress, classifyBytes, parseAddress, refusedGlobalIPv6, refusedIPv4 } from './classify.ts';

/** Node's own matcher over the registry, written down a second time: two implementations must agree. */
const registry = new BlockList();
for (const cidr of [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
  '192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
].flatMap((line) => line.split(' '))) {
  const [address = '', bits] = cidr.split('/');
  registry.addSubnet(address, Number(bits), 'ipv4');
}
const globalIPv6 = new BlockList();
globalIPv6.addSubnet('2000::', 3, 'ipv6');
const specialIPv6 = new BlockList();
for (const cidr of ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']) {
  const [address = '', bits] = cidr.split('/');
  specialIPv6.addSubnet(address, Number(bits), 'ipv6');
}

const octet = fc.integer({ min: 0, max: 255 });
const bytes4 = fc.tuple(octet, octet, octet, octet).map((parts) => Uint8Array.from(parts));
const bytes16 = fc.array(octet, { minLength: 16, maxLength: 16 }).map((parts) => Uint8Array.from(parts));
const textOf = (bytes: Uint8Array): string => ipaddr.fromByteArray([...bytes]).toString();

/** First, last, one below and one above a block, as integers of the width of its family. */
function edges(base: Uint8Array, bits: number): { inside: Uint8Array[]; outside: Uint8Array[] } {
  const width = BigInt(base.length * 8);
  const first = base.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const last = first | ((1n << (width - BigInt(bits))) - 1n);
  const bytes = (value: bigint): Uint8Array =>
    Uint8Array.from({ length: base.length }, (_, index) =>
      Number((value >> BigInt((base.length - 1 - index) * 8)) & 0xffn),
    );
  const outside = [first - 1n, last + 1n].filter((value) => value >= 0n && value < 1n << width);
  return { inside: [bytes(first), bytes(last)], outside: outside.map(bytes) };
}

describe('classifyBytes', () => {
  it('abuse 17: refuses first and last of every IPv4 block and agrees with the registry one outside', () => {
    for (const { cidr, base, bits } of refusedIPv4) {
      const { inside, outside } = edges(base, bits);
      for (const bytes of inside) expect(classifyBytes(bytes).public, `${cidr} ${textOf(bytes)}`).toBe(false);
      for (const bytes of outside) {
        expect(classifyBytes(bytes).public, `${cidr} ${textOf(bytes)}`).toBe(!registry.check(textOf(bytes), 'ipv4'));
      }
    }
  });

  it('abuse 17: refuses first and last of every special block inside 2000::/3', () => {
    for (const { cidr, base, bits } of refusedGlobalIPv6) {
      const { inside, outside } = edges(base, bits);
      for (const bytes of inside) expect(classifyBytes(bytes).public, `${cidr} ${textOf(bytes)}`).toBe(false);
      for (const bytes of outside) {
        const expected = globalIPv6.check(textOf(bytes), 'ipv6') && !specialIPv6.check(textOf(bytes), 'ipv6');
        expect(classifyBytes(bytes).public, `${cidr} ${textOf(bytes)}`).toBe(expected);
      }
    }
  });

  it('abuse 17: agrees with the registry on every IPv4 address', () => {
    fc.assert(
      fc.property(bytes4, (bytes) => {
        expect(classifyBytes(bytes).public).toBe(!registry.check(textOf(bytes), 'ipv4'));
      }),
      { numRuns: 2000 },
    );
  });

  it('abuse 17: agrees with the registry on every IPv6 address, half of them inside 2000::/3', () => {
    const nat64 = new BlockList();
    nat64.addSubnet('64:ff9b::', 96, 'ipv6');
    const inGlobal = bytes16.map((bytes) => {
      bytes[0] = 0x20 | ((bytes[0] as number) & 0x1f);
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(bytes16, inGlobal), (bytes) => {
        const text = textOf(bytes);
        if (nat64.check(text, 'ipv6')) return;
        const expected = globalIPv6.check(text, 'ipv6') && !specialIPv6.check(text, 'ipv6');
        expect(classifyBytes(bytes).public, text).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('abuse 17: refuses every IPv4 address in mapped, compatible, 6to4, Teredo and local NAT64 form', () => {
    fc.assert(
      fc.property(bytes4, (v4) => {
        const put = (prefix: number[], at: number): Uint8Array => {
          const bytes = new Uint8Array(16);
          bytes.set(prefix);
          bytes.set(v4, at);
          return bytes;
        };
        const inverted = put([0x20, 0x01, 0, 0], 12).map((byte, index) => (index >= 12 ? byte ^ 0xff : byte));
        for (const bytes of [
          put([], 12),
          put([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 12),
          put([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], 12), // IPv4-translated, RFC 2765
          put([0x20, 0x02], 2),
          inverted,
          put([0x00, 0x64, 0xff, 0x9b, 0x00, 0x01], 12),
        ]) {
          expect(classifyBytes(bytes).public, textOf(bytes)).toBe(false);
        }
      }),
    );
  });

  it('takes the well-known NAT64 prefix for exactly what is behind it', () => {
    fc.assert(
      fc.property(bytes4, (v4) => {
        const bytes = Uint8Array.from([0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ...v4]);
        expect(classifyBytes(bytes).public).toBe(classifyBytes(v4).public);
      }),
    );
    expect(classifyAddress('64:ff9b::7f00:1').public).toBe(false);
    expect(classifyAddress('64:ff9b::a9fe:a9fe').public).toBe(false);
    expect(classifyAddress('64:ff9b:0:0:0:1:7f00:1').public).toBe(false);
  });

  it('refuses anything that is not 4 or 16 bytes', () => {
    for (const length of [0, 1, 3, 5, 8, 15, 17]) expect(classifyBytes(new Uint8Array(length)).public).toBe(false);
  });
});

describe('parseAddress', () => {
  it('round trips every address through its text', () => {
    fc.assert(
      fc.property(fc.oneof(bytes4, bytes16), (bytes) => {
        const text = textOf(bytes);
        expect(parseAddress(text), text).toEqual(bytes);
        expect(parseAddress(text.toUpperCase()), text).toEqual(bytes);
      }),
    );
  });

  it('takes no other spelling than the canonical ones', () => {
    for (const text of [
      '',
      'localhost',
      '127.1',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '2130706433',
      '127.0.0.1.',
      ' 127.0.0.1',
      '127.0.0.1 ',
      '127.0.0.01',
      '１２７.0.0.1',
      'fe80::1%eth0',
      '::1%lo',
      '[::1]',
      '::ffff:0x7f.1',
      '1.2.3.4/32',
    ]) {
      expect(parseAddress(text), text).toBeUndefined();
      expect(classifyAddress(text).public, text).toBe(false);
    }
  });
});

describe('classifyAddress', () => {
  it.each([
    ['8.8.8.8', true, 'global'],
    ['1.1.1.1', true, 'global'],
    ['2606:4700:4700::1111', true, 'global unicast'],
    ['2a00:1450:4001:80b::200e', true, 'global unicast'],
    ['127.0.0.1', false, 'loopback'],
    ['::1', false, 'loopback'],
    ['::', false, 'unspecified'],
    ['169.254.169.254', false, 'link local'],
    ['100.100.100.200', false, 'shared address space'],
    ['168.63.129.16', false, 'cloud platform service'],
    ['192.0.0.192', false, 'IETF protocol assignments'],
    ['255.255.255.255', false, 'limited broadcast'],
    ['fd00:ec2::254', false, 'unique local'],
    ['fe80::1', false, 'link local'],
    ['fec0::1', false, 'deprecated site local'],
    ['ff02::1', false, 'multicast'],
    ['100::1', false, 'discard only'],
    ['100:0:0:1::1', false, 'dummy prefix'],
    ['5f00::1', false, 'segment routing'],
    ['::ffff:8.8.8.8', false, 'IPv4-mapped'],
    ['::8.8.8.8', false, 'IPv4-compatible'],
    ['64:ff9b:1::808:808', false, 'local-use NAT64'],
    ['64:ff9b::8.8.8.8', true, 'NAT64 of global'],
    ['64:ff9b::10.0.0.1', false, 'NAT64 of private use'],
    ['2001:0:102:304::1', false, 'Teredo'],
    ['2002:7f00:1::', false, '6to4'],
    ['2001:db8::1', false, 'documentation'],
    ['3fff::1', false, 'documentation'],
    ['4000::1', false, 'unassigned'],
    ['1fff::1', false, 'unassigned'],
  ])('%s', (address, isPublic, block) => {
    expect(classifyAddress(address)).toEqual({ public: isPublic, block });
  });
});
