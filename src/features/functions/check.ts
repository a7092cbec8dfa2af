import { compileFunction } from 'node:vm';
import type { Issue } from '../../base/errors.ts';
import { functionErrors } from './errors.ts';
import { frequencyProblem } from './frequency.ts';
import { BUNDLE_BYTES_MAX, DEFINITION_BYTES_MAX, FUNCTIONS_MAX, SOURCE_BYTES_MAX } from './limits.ts';
import type { FunctionInput } from './model.ts';

/** What names a function in an environment: one sync and one action of an integration may share a name. */
export function functionKey(fn: { integrationKey: string; kind: string; name: string }): string {
  return `${fn.integrationKey}\n${fn.kind}\n${fn.name}`;
}

const NAME = /^[a-zA-Z0-9_-]{1,255}$/;
/** Wire contract A.6; an action's models are named by its integration and file, which may hold more characters. */
const SYNC_MODEL = /^[A-Z][a-zA-Z0-9_-]{0,254}$/;

/** Errors: `invalid_body` with every problem, `deploy_script_security_rejected` for a bundle that cannot be loaded. */
export function checkFunctions(functions: readonly FunctionInput[]): void {
  const errors: Issue[] = [];
  if (functions.length > FUNCTIONS_MAX) {
    errors.push(issue([], `One deploy holds at most ${FUNCTIONS_MAX} functions. Deploy by integration.`));
  }
  const seen = new Set<string>();
  for (const [at, fn] of functions.entries()) {
    const where = (...rest: string[]): (string | number)[] => [at, ...rest];
    const key = functionKey(fn);
    if (seen.has(key)) errors.push(issue(where('name'), `${label(fn)} is there twice.`));
    seen.add(key);
    if (!NAME.test(fn.name))
      errors.push(issue(where('name'), `"${fn.name.slice(0, 80)}": letters, digits, _ and - only.`));
    if (fn.kind === 'sync') errors.push(...syncIssues(fn).map((text) => issue(where('definition'), text)));
    if (fn.kind === 'on-event' && fn.definition.event === undefined) {
      errors.push(issue(where('event'), `${label(fn)} names no event.`));
    }
    if (byteLength(fn.code.js) > BUNDLE_BYTES_MAX) {
      errors.push(issue(where('code'), `The bundle of ${label(fn)} is over ${BUNDLE_BYTES_MAX} bytes. Import less.`));
    }
    if (byteLength(fn.code.ts) > SOURCE_BYTES_MAX) {
      errors.push(issue(where('code'), `The source of ${label(fn)} is over ${SOURCE_BYTES_MAX} bytes.`));
    }
    if (byteLength(JSON.stringify(fn.definition)) > DEFINITION_BYTES_MAX) {
      errors.push(
        issue(
          where('definition'),
          `The schemas of ${label(fn)} are over ${DEFINITION_BYTES_MAX} bytes. Use smaller models.`,
        ),
      );
    }
    if (`${fn.code.js}${fn.code.ts}`.includes('\0')) {
      errors.push(issue(where('code'), `${label(fn)} holds a NUL character.`));
    }
  }
  if (errors.length > 0) {
    throw functionErrors.fail('invalid_body', { message: errors[0]?.message as string, errors });
  }
  for (const fn of functions) checkBundle(fn);
}

function syncIssues(fn: FunctionInput): string[] {
  const issues: string[] = [];
  const { runs, models } = fn.definition;
  const frequency = runs === undefined ? `${label(fn)} has no frequency.` : frequencyProblem(runs);
  if (frequency !== undefined) issues.push(frequency);
  if (models.length === 0) issues.push(`${label(fn)} has no model.`);
  for (const model of models) {
    if (!SYNC_MODEL.test(model)) {
      issues.push(`Model "${model.slice(0, 80)}" of ${label(fn)}: a capital letter, then letters, digits, _ and -.`);
    }
  }
  return issues;
}

/** Parses and runs nothing. */
function checkBundle(fn: FunctionInput): void {
  try {
    compileFunction(fn.code.js, ['exports', 'require', 'module', '__filename', '__dirname'], {
      filename: `${fn.integrationKey}/${fn.name}.cjs`,
    });
  } catch (cause) {
    throw functionErrors.fail('deploy_script_security_rejected', {
      message: `The bundle of ${label(fn)} is no CommonJS script: ${(cause as Error).message.slice(0, 200)}. Compile the project and deploy again.`,
      payload: { integration: fn.integrationKey, type: fn.kind, name: fn.name },
    });
  }
}

function label(fn: FunctionInput): string {
  return `${fn.kind} "${fn.name.slice(0, 80)}" of "${fn.integrationKey}"`;
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

function issue(path: (string | number)[], message: string): Issue {
  return { code: 'custom', message, path };
}
