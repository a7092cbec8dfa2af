/** URLs that lead inside, in every way of writing them that some library reads. */
/** Ways to write loopback and other inner addresses as a host. `PORT` is EVIL's. */
export const addressSpellings = `
127.0.0.1 127.1 127.0.1 127.255.255.254 0177.0.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 017700000001 2130706433 0177.0.0.01
00000177.0.0.1 0x7F.0x0.0x0.0x1 127.0.0.1. 127.000.000.001 ①②⑦.0.0.1 １２７.0.0.1 127。0。0。1 127．0．0．1 0 0.0.0.0 0x0 00 0.1
%31%32%37.0.0.1 127.0.0.%31 10.0.0.1 10.1 0xa.1 012.1 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 169.254.169.254
0xa9fea9fe 2852039166 0251.0376.0251.0376 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7
203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 0xffffffff 168.63.129.16
[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:127.0.0.1] [0:0:0:0:0:ffff:7f00:1]
[::127.0.0.1] [::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]
[2001:0:7f00:1::] [2001::80ff:fffe] [fc00::1] [fd00:ec2::254] [fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1] [100::1]
[2001:db8::1] [3fff::1] [5f00::1] [::ffff:0:127.0.0.1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [64:ff9b::a9fe:a9fe]
`
  .trim()
  .split(/\s+/);

/** Addresses that no call may reach. */
export const innerAddresses = ['127.0.0.1', '10.1.2.3', '169.254.169.254', '172.16.0.1', '192.168.1.1', '100.64.0.1'];

/** The ways in which libraries have written or read one IPv4 address. */
export function spellingsOf(address: string): string[] {
  const bytes = address.split('.').map(Number) as [number, number, number, number];
  const whole = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const [hex, octal] = [16, 8].map((base) => bytes.map((byte) => byte.toString(base))) as [string[], string[]];
  const hex32 = whole.toString(16).padStart(8, '0');
  const groups = `${hex32.slice(0, 4)}:${hex32.slice(4)}`;
  return [
    address,
    `${address}.`,
    `${whole}`,
    `0x${hex32}`,
    `0${whole.toString(8)}`,
    hex.map((byte) => `0x${byte}`).join('.'),
    octal.map((byte) => `0${byte}`).join('.'),
    octal.map((byte) => `0000${byte}`).join('.'),
    `0x${hex[0]}.${bytes[1]}.0${octal[2]}.${bytes[3]}`,
    `${bytes[0]}.${whole % 2 ** 24}`,
    `${bytes[0]}.${bytes[1]}.${whole % 2 ** 16}`,
    address.replaceAll(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    address.replaceAll('.', '。'),
    [...address].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(''),
    ...['::ffff:', '::', '64:ff9b::', '64:ff9b:1::', '::ffff:0:'].map((prefix) => `[${prefix}${address}]`),
    `[::ffff:${groups}]`,
    `[2002:${groups}::]`,
    `[2001:0:${groups}::1]`,
  ];
}

/** Names that lead inside: what the resolver of the test says about each. */
export const nameAnswers: Record<string, string[]> = {
  localhost: ['127.0.0.1', '::1'],
  'LOCALHOST.': ['127.0.0.1'],
  'sub.localhost': ['127.0.0.1'],
  'localhost.localdomain': ['127.0.0.1'],
  'ip6-localhost': ['::1'],
  'metadata.google.internal': ['169.254.169.254'],
  'metadata.google.internal.': ['169.254.169.254'],
  metadata: ['169.254.169.254'],
  'instance-data.ec2.internal': ['169.254.169.254'],
  'kubernetes.default.svc': ['10.96.0.1'],
  postgres: ['172.18.0.2'],
  '127.0.0.1.nip.io': ['127.0.0.1'],
  '7f000001.nip.io': ['127.0.0.1'],
  'localtest.me': ['127.0.0.1', '::1'],
  'mixed.example': ['93.184.215.14', '127.0.0.1'],
  'mixed-last.example': ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'zone.example': ['fe80::1%lo'],
  'garbage.example': ['127.0.0.1\0'],
  'octal.example': ['0177.0.0.1'],
  'xn--bcher-kva.example': ['127.0.0.1'],
  'bücher.example': ['127.0.0.1'],
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ': ['127.0.0.1'],
  'under_score.example': ['10.0.0.1'],
  'flood.example': Array.from({ length: 65 }, () => '93.184.215.14'),
};

/** Tricks with the part before the path. Each goes to EVIL if it is misread. */
export const authorityTricks = [
  'https://user@127.0.0.1:PORT/',
  'https://user:hunter2@public.example/',
  'https://:hunter2@public.example/',
  'https://public.example@127.0.0.1:PORT/',
  'https://public.example:443@127.0.0.1:PORT/',
  'https://public.example%40127.0.0.1:PORT/',
  'https://127.0.0.1:PORT\\@public.example/',
  'https://127.0.0.1:PORT/@public.example/',
  'https://127.0.0.1:PORT#@public.example/',
  'https://127.0.0.1:PORT?@public.example/',
  'https:\\\\127.0.0.1:PORT\\',
  'https:127.0.0.1:PORT/',
  'https:///127.0.0.1:PORT/',
  'https:////127.0.0.1:PORT/',
  'ht\ntps://127.0.0.1:PORT/',
  ' https://127.0.0.1:PORT/ ',
  'https://127.0\t.0.1:PORT/',
  'https://127.0.0.1:0/',
  'https://public.example:0/',
  'https://127.0.0.1:00PORT/',
  'http://public.example/',
  'http://public.example:443/',
  'http://93.184.215.14/',
];

/** URLs that are no HTTP over TLS. */
export const schemes = [
  'file:///etc/passwd',
  'ftp://127.0.0.1:PORT/',
  'gopher://127.0.0.1:PORT/_x',
  'ws://127.0.0.1:PORT/',
  'wss://127.0.0.1:PORT/',
  'data:text/plain,x',
  'javascript:alert(1)',
  'blob:https://127.0.0.1:PORT/x',
  'about:blank',
  'unix:/var/run/docker.sock',
  'http+unix://%2Fvar%2Frun%2Fdocker.sock/x',
  'view-source:https://127.0.0.1:PORT/',
  'jar:https://127.0.0.1:PORT!/x',
  'dict://127.0.0.1:PORT/',
  'ldap://127.0.0.1:PORT/',
  'urn:x',
  'HTTPS+x://127.0.0.1:PORT/',
];
