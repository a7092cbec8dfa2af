import { readFile, stat } from 'node:fs/promises';
import { StartupError } from '../../base/errors.ts';

/** Others may not read it, and nobody but its owner may write it; a group may read (mounted secrets). */
const MODE_REFUSED = 0o027;
/** More lines are some other file. */
const KEYS_MAX = 100;

/**
 * Reads a file of keys: one a line, the first is active; empty lines and lines that begin with `#` are skipped.
 * Resolves to undefined when there is no such file.
 *
 * Errors: {@link StartupError} when it cannot be read, others may read it, or it holds no key. Never with its content.
 */
export async function readKeyFile(path: string): Promise<string[] | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & MODE_REFUSED) !== 0) {
      throw new StartupError(
        `The key file ${path} is open to others (mode ${(mode & 0o777).toString(8)}).`,
        `Close it: chmod 600 ${path}. When it was open to people you do not trust, rotate the key too.`,
      );
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const code = (error as { code?: string }).code ?? 'error';
    if (code === 'ENOENT') return undefined;
    throw new StartupError(
      `The key file ${path} cannot be read (${code}).`,
      'Let the user that starts Hawser read it.',
    );
  }
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (keys.length === 0 || keys.length > KEYS_MAX) {
    throw new StartupError(
      `The key file ${path} holds ${keys.length === 0 ? 'no key' : 'too many lines'}.`,
      'One key a line, 32 bytes as base64 or hex; the first is the active one.',
    );
  }
  return keys;
}
