/**
 * Makes text of a provider fit for a log, an error message and a page: one line of printable characters, bounded, and
 * without anything that looks like a token. Escaping for HTML stays with the page.
 */

const CODE_CHARS_MAX = 100;
const TEXT_CHARS_MAX = 300;
const MASK = '[…]';
/** Shorter runs are words and codes such as `AADSTS70008`. */
const RUN_CHARS_MIN = 12;
/** Known secrets shorter than this would mask ordinary words. */
const SECRET_CHARS_MIN = 4;

/** A short code or sentence, at most 100 characters. */
export function cleanCode(text: string | undefined, secrets: readonly string[] = []): string | undefined {
  return clean(text, CODE_CHARS_MAX, secrets);
}

/** A sentence, at most 300 characters. */
export function cleanText(text: string | undefined, secrets: readonly string[] = []): string | undefined {
  return clean(text, TEXT_CHARS_MAX, secrets);
}

function clean(text: string | undefined, charsMax: number, secrets: readonly string[]): string | undefined {
  if (text === undefined) return undefined;
  // Cut early: the text comes from outside and may be long. Room is left for what masking removes.
  let line = text.slice(0, 4096).toWellFormed();
  for (const secret of secrets) {
    for (const form of formsOf(secret)) line = line.replaceAll(form, MASK);
  }
  line = line
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .replaceAll(/[A-Za-z0-9+/=_~.%:-]+/g, (run) => (looksSecret(run) ? MASK : run))
    .trim();
  if (line === '') return undefined;
  return line.length > charsMax ? `${line.slice(0, charsMax - 1)}…` : line;
}

/** The ways in which a provider may echo a secret. */
function formsOf(secret: string): string[] {
  if (secret.length < SECRET_CHARS_MIN) return [];
  const bytes = Buffer.from(secret, 'utf8');
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ].toSorted((a, b) => b.length - a.length);
}

/**
 * Tokens have digits or mixed case in one long run; error codes and words of sentences do not. Words joined by `_ . - :
 * /` are judged one by one, so that `urn:ietf:params:oauth` or a link to documentation stays readable.
 */
function looksSecret(text: string): boolean {
  const run = text.replace(/[.:/-]+$/, '');
  if (run.length < RUN_CHARS_MIN) return false;
  if (/^[A-Za-z]+(?:[_.:/-]+[A-Za-z]+)*[_.:/-]*$/.test(run)) {
    return run.split(/[_.:/-]+/).some((word) => word.length >= 20 || (word.length >= 12 && isMixed(word)));
  }
  return /[0-9]/.test(run) || run.length >= 20;
}

/** Upper and lower case in an order that no word has. */
function isMixed(word: string): boolean {
  return (word.match(/[a-z][A-Z]|[A-Z]{2}[a-z]/g)?.length ?? 0) >= 3;
}
