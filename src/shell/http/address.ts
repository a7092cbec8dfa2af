import { BlockList, isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** True for a peer whose `X-Forwarded-For` is believed. */
export type Trust = (address: string) => boolean;

/** Addresses and CIDR ranges, as checked by `readConfig`. An empty list trusts nobody. */
export function createTrust(proxies: readonly string[]): Trust {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  // An IPv4 address in IPv6 clothes matches the rules for IPv4.
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** Who a caller is for limits: its IPv4 address, or the /64 that a host with IPv6 has to itself. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIP(address) !== 6) return address;
  return `${groupsOf(address).slice(0, 4).join(':')}::/64`;
}

/** The caller's key. Text in a forwarded header that is no address counts for the peer that sent it. */
export function callerAddress(request: FastifyRequest): string {
  const { ip } = request;
  return addressKey(isIP(ip) === 0 ? (request.raw.socket.remoteAddress ?? '') : ip);
}

/** The eight groups of a valid IPv6 address without leading zeros. */
function groupsOf(address: string): string[] {
  const [plain = ''] = address.toLowerCase().split('%');
  const [head = '', tail] = plain.split('::');
  const split = (part: string): string[] =>
    part === '' ? [] : part.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]));
  const left = split(head);
  const right = tail === undefined ? [] : split(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].map((group) => parseInt(group, 16).toString(16));
}
