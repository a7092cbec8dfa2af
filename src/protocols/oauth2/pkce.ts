import { createHash } from 'node:crypto';
import { generateRandomCodeVerifier } from 'oauth4webapi';

/**
 * A fresh verifier (43 characters) and its S256 challenge. The challenge is computed here because the library's own
 * function is asynchronous; a test holds both against each other.
 * Source: RFC 7636 4.1, 4.2.
 */
export function newPkce(): { verifier: string; challenge: string } {
  const verifier = generateRandomCodeVerifier();
  return { verifier, challenge: createHash('sha256').update(verifier, 'ascii').digest('base64url') };
}
