import { isDeeperThan, isSurelyFlat } from '../frames.ts';
import { ScriptError } from './script-error.ts';

/**
 * JSON of a value that a script gave. Errors: ScriptError with `code`, saying what is wrong with the value.
 *
 * `what` begins the sentence: "The output", "Record 3 of Contact".
 */
export function jsonOf(
  value: unknown,
  what: string,
  code: string,
  limits: { bytesMax: number; depthMax: number },
): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    throw new ScriptError(code, `${what} ${reasonOf(error)}`);
  }
  if (json === undefined) {
    throw new ScriptError(code, `${what} is a ${typeof value}, which JSON does not know. Give an object, a list, a text or a number.`); // prettier-ignore
  }
  // A UTF-16 unit is three bytes at most.
  const bytes = json.length * 3 <= limits.bytesMax ? 0 : Buffer.byteLength(json);
  if (bytes > limits.bytesMax) {
    throw new ScriptError(code, `${what} has ${bytes} bytes of JSON; the limit is ${limits.bytesMax}. Make it smaller, or split it.`); // prettier-ignore
  }
  if (!isSurelyFlat(json, limits.depthMax) && isDeeperThan(Buffer.from(json), limits.depthMax)) {
    throw new ScriptError(code, `${what} is nested deeper than ${limits.depthMax}. Flatten it.`);
  }
  return json;
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : '';
  if (text.includes('circular')) return 'refers to itself (circular), so it has no JSON. Return plain data.';
  if (text.includes('BigInt')) return 'holds a BigInt, which has no JSON. Make it a text.';
  if (error instanceof RangeError) return 'is nested too deep or too large for JSON. Flatten it, or split it.';
  return `cannot be written as JSON: ${text || 'its toJSON failed'}.`;
}
