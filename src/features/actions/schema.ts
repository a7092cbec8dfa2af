/** Input and output of actions against the JSON schema they were deployed with. */
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Issue } from '../../base/errors.ts';
import type { DeployedFunction } from '../functions/index.ts';
import { actionErrors } from './errors.ts';

/** Parsed schemas of functions in use; each is some KB. */
const SCHEMAS_MAX = 1_000;
/** More say nothing new. */
const ISSUES_MAX = 50;

/** What names one version of a function, and how it is declared. */
export type CheckedFunction = Pick<DeployedFunction, 'environmentId' | 'id' | 'version' | 'codeHash' | 'definition'>;

export interface ActionSchemas {
  /** Errors: `invalid_action_input`, `action_schema_unusable`. */
  checkInput(fn: CheckedFunction, input: unknown): void;
  /** Errors: `invalid_action_output`, `action_schema_unusable`. */
  checkOutput(fn: CheckedFunction, output: unknown): void;
}

/**
 * Checks are on unless the function's `metadata.validation` says `"off"`, `"input"` (only the input) or `"output"`: some
 * clients came to rely on a server that checked nothing.
 */
export function createActionSchemas(): ActionSchemas {
  const known = new LRUCache<string, { schema: z.ZodType | undefined }>({ max: SCHEMAS_MAX });

  function schemaOf(fn: CheckedFunction, model: string | undefined): z.ZodType | undefined {
    const { jsonSchema } = fn.definition;
    if (model === undefined || jsonSchema === undefined || !Object.hasOwn(jsonSchema.definitions, model))
      return undefined;
    const key = `${fn.environmentId}:${fn.id}:${fn.version}:${fn.codeHash}:${model}`;
    let found = known.get(key);
    if (found === undefined) {
      try {
        const whole = { ...jsonSchema, $ref: `#/definitions/${pointer(model)}` };
        found = {
          schema: z.fromJSONSchema(whole as Parameters<typeof z.fromJSONSchema>[0], { defaultTarget: 'draft-7' }),
        };
      } catch (cause) {
        throw actionErrors.fail('action_schema_unusable', { cause });
      }
      known.set(key, found);
    }
    return found.schema;
  }

  function check(fn: CheckedFunction, part: 'input' | 'output', value: unknown): void {
    if (!isChecked(fn, part)) return;
    const { definition } = fn;
    const schema = schemaOf(fn, part === 'input' ? definition.input : definition.models[0]);
    // A schema of "nothing" is what `z.void()` becomes; JSON knows nothing but null.
    const parsed = schema?.safeParse(value ?? null);
    if (parsed === undefined || parsed.success) return;
    if (value === undefined && schema?.safeParse({}).success === true && part === 'input') return;
    const errors: Issue[] = parsed.error.issues.slice(0, ISSUES_MAX).map((issue) => ({
      code: issue.code,
      message: issue.message,
      path: issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step)),
    }));
    throw actionErrors.fail(part === 'input' ? 'invalid_action_input' : 'invalid_action_output', { errors });
  }

  return {
    checkInput: (fn, input) => check(fn, 'input', input),
    checkOutput: (fn, output) => check(fn, 'output', output),
  };
}

function isChecked(fn: CheckedFunction, part: 'input' | 'output'): boolean {
  const { validation } = fn.definition.metadata;
  return validation === undefined || validation === part || !(validation === 'off' || isPart(validation));
}

function isPart(value: unknown): boolean {
  return value === 'input' || value === 'output';
}

function pointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
