/**
 * Tells public addresses from all others. Works on bytes, so that no spelling matters. Everything that is not globally
 * reachable is refused.
 *
 * Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190 and the RFCs named per line);
 * IANA IPv6 Global Unicast assignments (2000::/3).
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface AddressClass {
  /** True when the address is reachable from anywhere in the internet. */
  public: boolean;
  /** Name of the block that decided. */
  block: string;
}

interface Block {
  cidr: string;
  name: string;
  base: Uint8Array;
  bits: number;
}

/** Blocks of IPv4 that are never called. Everything else is public. */
export const refusedIPv4: readonly Block[] = [
  block('0.0.0.0/8', 'this network'), // RFC 791
  block('10.0.0.0/8', 'private use'), // RFC 1918
  block('100.64.0.0/10', 'shared address space'), // RFC 6598; a cloud's metadata service lives in it too
  block('127.0.0.0/8', 'loopback'), // RFC 1122
  block('168.63.129.16/32', 'cloud platform service'), // Azure's host agent: a public number that only a guest reaches
  block('169.254.0.0/16', 'link local'), // RFC 3927; the metadata service of most clouds
  block('172.16.0.0/12', 'private use'), // RFC 1918
  block('192.0.0.0/24', 'IETF protocol assignments'), // RFC 6890
  block('192.0.2.0/24', 'documentation'), // RFC 5737
  block('192.88.99.0/24', 'deprecated 6to4 relay'), // RFC 7526
  block('192.168.0.0/16', 'private use'), // RFC 1918
  block('198.18.0.0/15', 'benchmarking'), // RFC 2544
  block('198.51.100.0/24', 'documentation'), // RFC 5737
  block('203.0.113.0/24', 'documentation'), // RFC 5737
  block('224.0.0.0/4', 'multicast'), // RFC 5771
  block('255.255.255.255/32', 'limited broadcast'), // RFC 8190
  block('240.0.0.0/4', 'reserved'), // RFC 1112
];

/** Only this part of IPv6 is assigned to the public internet; what lies outside it is refused unseen. */
const globalUnicast = block('2000::/3', 'global unicast');

/** RFC 6052. Globally reachable by registry: the translator forwards to the IPv4 address in the last four bytes. */
const nat64 = block('64:ff9b::/96', 'NAT64');

/** Blocks inside 2000::/3 that are never called. */
export const refusedGlobalIPv6: readonly Block[] = [
  block('2001::/32', 'Teredo'), // RFC 4380
  block('2001:2::/48', 'benchmarking'), // RFC 5180
  block('2001:db8::/32', 'documentation'), // RFC 3849
  block('2001::/23', 'IETF protocol assignments'), // RFC 2928; its few reachable anycasts serve no web API
  block('2002::/16', '6to4'), // RFC 3056
  block('3fff::/20', 'documentation'), // RFC 9637
];

/** Names for the message only: all of these lie outside 2000::/3. */
const namedIPv6: readonly Block[] = [
  block('::1/128', 'loopback'),
  block('::/128', 'unspecified'),
  block('::ffff:0:0/96', 'IPv4-mapped'),
  block('::/96', 'IPv4-compatible'),
  block('64:ff9b:1::/48', 'local-use NAT64'), // RFC 8215
  block('100::/64', 'discard only'), // RFC 6666
  block('100:0:0:1::/64', 'dummy prefix'), // RFC 9780
  block('5f00::/16', 'segment routing'), // RFC 9602
  block('fc00::/7', 'unique local'), // RFC 4193
  block('fe80::/10', 'link local'), // RFC 4291
  block('fec0::/10', 'deprecated site local'), // RFC 3879
  block('ff00::/8', 'multicast'), // RFC 4291
];

/** Classifies an address given as 4 or 16 bytes. Any other length is refused. */
export function classifyBytes(bytes: Uint8Array): AddressClass {
  if (bytes.length === 4) {
    const hit = find(refusedIPv4, bytes);
    return hit === undefined ? { public: true, block: 'global' } : { public: false, block: hit.name };
  }
  if (bytes.length !== 16) return { public: false, block: 'not an address' };
  if (inside(nat64, bytes)) {
    const embedded = classifyBytes(bytes.subarray(12));
    return { public: embedded.public, block: `${nat64.name} of ${embedded.block}` };
  }
  if (!inside(globalUnicast, bytes)) {
    return { public: false, block: find(namedIPv6, bytes)?.name ?? 'unassigned' };
  }
  const hit = find(refusedGlobalIPv6, bytes);
  return hit === undefined ? { public: true, block: globalUnicast.name } : { public: false, block: hit.name };
}

/** Classifies the text of an address. Text that is no plain IPv4 or IPv6 address (a zone id, say) is refused. */
export function classifyAddress(text: string): AddressClass {
  const bytes = parseAddress(text);
  return bytes === undefined ? { public: false, block: 'not an address' } : classifyBytes(bytes);
}

/** The bytes of a canonical address (4 or 16), `undefined` for anything else, including zone ids and octal or hex parts. */
export function parseAddress(text: string): Uint8Array | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) return undefined;
  // ipaddr.js 2.5 reads `::8.8.8.8` as `::ffff:8.8.8.8`; the URL parser turns a dotted tail into hexadecimal first.
  const plain = family === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
  return Uint8Array.from(ipaddr.parse(plain).toByteArray());
}

function block(cidr: string, name: string): Block {
  const [address, bits] = ipaddr.parseCIDR(cidr);
  return { cidr, name, base: Uint8Array.from(address.toByteArray()), bits };
}

function find(blocks: readonly Block[], bytes: Uint8Array): Block | undefined {
  return blocks.find((candidate) => inside(candidate, bytes));
}

function inside({ base, bits }: Block, bytes: Uint8Array): boolean {
  if (base.length !== bytes.length) return false;
  for (let index = 0; index * 8 < bits; index++) {
    const left = bits - index * 8;
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((base[index] as number) & mask) !== ((bytes[index] as number) & mask)) return false;
  }
  return true;
}
