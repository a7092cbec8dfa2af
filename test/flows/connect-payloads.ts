/** Wrong states and wrong return addresses, by the hundred. */
import { createHash, randomBytes } from 'node:crypto';

/** 200 wrong states, as query text. */
export function mutations(state: string): string[] {
  const made: string[] = ['state=', 'state', `state=${state}&state=${state}`];
  for (let i = 0; i < 64; i++) {
    const other = state[i] === '0' ? '1' : '0';
    made.push(`state=${state.slice(0, i)}${other}${state.slice(i + 1)}`);
    made.push(`state=${state.slice(0, i)}`);
  }
  for (const suffix of ['a', '0', '%00', '%20', '%0a', '%0d%0a', '.', '=', '%26', "'", '"', '%27--', '%5c', '+']) {
    made.push(`state=${state}${suffix}`, `state=${suffix}${state}`);
  }
  made.push(`state=${state.toUpperCase().replace(/^[0-9]+$/, 'F'.repeat(64))}X`);
  made.push(`state=${createHash('sha256').update(state).digest('hex')}`);
  for (const odd of ['null', 'undefined', '__proto__', 'constructor', '*', '%25', '0', '-1', '[object Object]']) {
    made.push(`state=${odd}`);
  }
  made.push(`state=&state=${state}`, `state=${state}&state=`, `state=${state}&state=x`);
  made.push(`state=${'a'.repeat(5_000)}`);
  while (made.length < 200) made.push(`state=${randomBytes(32).toString('hex')}`);
  return made;
}

/** Addresses that look allowed to one parser or another. */
export function redirectPayloads(own: string): string[] {
  const good = 'https://app.example.com';
  const evil = 'evil.example';
  const made = [
    '',
    ' ',
    '/',
    '//',
    '\\',
    evil,
    `//${evil}`,
    `///${evil}`,
    `/\\${evil}`,
    `\\\\${evil}`,
    `/%09/${evil}`,
    `/%5c${evil}`,
    `https:${evil}`,
    `https:/${evil}`,
    `https:///${evil}`,
    `http:${evil}`,
    `https:\\\\${evil}`,
    `https:/\\${evil}`,
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\tscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example.com/x',
    'about:blank',
    'ftp://app.example.com/',
    'ws://app.example.com/',
    'mailto:a@app.example.com',
    'view-source:https://app.example.com',
    'app.example.com',
    'http://app.example.com/',
    'HTTP://app.example.com/',
    'https://app.example.com:444/',
    'https://app.example.com:80/',
    'https://app.example.com.',
    'https://app.example.com./',
    'https://APP.example.com.evil.example/',
    `${good}.${evil}`,
    `${good}@${evil}`,
    `${good}:pw@${evil}`,
    `${good}%40${evil}`,
    `${good}\\@${evil}`,
    `${good}\\.${evil}`,
    `https://${evil}\\@app.example.com`,
    `https://${evil}#@app.example.com`,
    `https://${evil}?@app.example.com`,
    `https://${evil}/app.example.com`,
    `https://${evil}/https://app.example.com`,
    `https://user@app.example.com/`,
    'https://user:pw@app.example.com/',
    'https://@app.example.com/',
    'https://:@app.example.com/',
    `https://app.example.com%2f@${evil}`,
    `https://app.example.com%00.${evil}`,
    `https://app.example.com%0d%0a.${evil}`,
    'https://app。example。com.evil.example',
    'https://app.example.com\u3002evil.example',
    'https://ａｐｐ.example.com/',
    'https://app.example.com\u2044evil',
    'https://app.example.com/\u0000',
    'https://app.example.com/\r\nSet-Cookie: a=b',
    'https://app.example.com/\n',
    ' https://app.example.com/',
    'https://app.example.com/ ',
    '\thttps://app.example.com/',
    'https://app\t.example.com/',
    'ht\ntps://app.example.com/',
    'https://app.example.com/\\evil',
    'https:app.example.com',
    'https://[::1]/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://app.example.com:0/',
    'https://app.example.com:65536/',
    'https://app.example.com:abc/',
    'https://example.com/',
    'https://sub.app.example.com/',
    'https://xapp.example.com/',
    'https://app-example.com/',
    'https://app.example.co/',
    'https://app.example.com%2eevil.example',
    own.replace('http:', 'https:'),
    own.replace('localhost', '127.0.0.1'),
    own.replace('localhost', 'localhost.evil.example'),
    `${own}.${evil}`,
    `${own}@${evil}`,
    own.replace('//', '//evil@'),
    `http://localhost/`,
    `http://localhost:1/`,
    'https://null/',
    'null',
    'undefined',
    'https://',
    'http://',
    'https://?',
    'https://#',
    'https://.',
    'https://..',
    'https://-',
    'http://[',
    'http://]',
    'https://app.example.com:443@evil.example/',
    'https://app.example.com&@evil.example',
    'https://evil.example/?u=https://app.example.com/',
    'https://evil.example/#https://app.example.com/',
    'https://app.example.com@evil.example/@app.example.com',
    'https://evil.example:443/app.example.com',
    'intent://app.example.com#Intent;scheme=https;end',
    'x-app://callback',
    '//app.example.com',
    '///app.example.com',
    '/path',
    'path',
    '?x=1',
    '#x',
    './',
    '../',
    '.',
    'https://app.example.com{}.evil.example/',
    'https://app.example.com;evil.example',
    'https://app.example.com,evil.example/',
    "https://app.example.com'.evil.example",
    'https://xn--app-.example.com/',
    'https://app.example.com<evil.example>',
    'https://app.example.com|evil.example/',
  ];
  return [...new Set(made)].filter((payload) => payload !== '');
}
