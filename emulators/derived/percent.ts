/** Percent-encoding of everything but unreserved characters (RFC 3986 2.3), as signatures want it. */
export function escapeStrictly(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
