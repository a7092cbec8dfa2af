/** What a server checks of an action, for runs that are only tried. */
import { HawserError } from '../../base/errors.ts';
import { createActionSchemas } from '../../features/actions/index.ts';
import type { Compiled } from '../../features/functions/index.ts';
import type { SandboxResult } from '../../platform/sandbox/index.ts';

/** Runs `work`; the input is checked before and the output after it. What does not fit is its failure. */
export async function runChecked(
  fn: Pick<Compiled['functions'][number], 'kind' | 'definition'>,
  input: unknown,
  work: () => Promise<SandboxResult>,
): Promise<SandboxResult> {
  if (fn.kind !== 'action') return work();
  const schemas = createActionSchemas();
  // A name for this version; nothing else is known to these schemas.
  const checked = { ...fn, environmentId: 0, id: 0, version: '', codeHash: '' };
  try {
    schemas.checkInput(checked, input);
    const result = await work();
    if (result.ok) schemas.checkOutput(checked, result.output);
    return result;
  } catch (error) {
    if (!(error instanceof HawserError)) throw error;
    return { ok: false, error: { code: error.code, message: error.message, payload: error.errors } };
  }
}
