/** User name and password of HTTP Basic (RFC 7617); undefined when the header is another one. */
export function readBasic(
  authorization: string | undefined,
  options: { formEncoded?: boolean } = {},
): { username: string; password: string } | undefined {
  const encoded = /^basic +(\S+)$/i.exec(authorization?.trim() ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1) return undefined;
  // A client's id and secret are form-encoded first (RFC 6749 2.3.1).
  const decode = (part: string) => (options.formEncoded === true ? formDecoded(part) : part);
  return { username: decode(text.slice(0, colon)), password: decode(text.slice(colon + 1)) };
}

function formDecoded(text: string): string {
  return new URLSearchParams(`a=${text.replaceAll('&', '%26')}`).get('a') ?? '';
}
