import type * as Zod from 'zod';
import type { Described } from './describe.ts';

/**
 * Runs inside the sandbox, as text: uses nothing but its arguments. Reads the default export of a bundle.
 */
export function describeDefinition(z: typeof Zod, exported: unknown): Described {
  const types = ['sync', 'action', 'onEvent'];
  const definition = exported as Record<string, unknown> | undefined;
  if (definition === undefined || definition === null) {
    return { ok: false, message: 'There is no default export. Write: export default createSync({ … })' };
  }
  if (typeof definition !== 'object' || !types.includes(definition['type'] as string)) {
    return {
      ok: false,
      message:
        'The default export is no function of Hawser. Export what createSync, createAction or createOnEvent returns.',
    };
  }
  const problems: { field: string; message: string }[] = [];
  const schemaOf = (field: string, schema: unknown): unknown => {
    if (schema === undefined) return undefined;
    try {
      const json = z.toJSONSchema(schema as Zod.ZodType, {
        target: 'draft-7',
        unrepresentable: 'any',
        override: ({ zodSchema, jsonSchema }) => {
          const kind = (zodSchema as unknown as Zod.ZodType).def.type;
          if (kind === 'void' || kind === 'undefined') jsonSchema.type = 'null';
          if (kind === 'date') Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
          if (kind === 'bigint') jsonSchema.type = 'integer';
        },
      }) as Record<string, unknown>;
      const { $schema: _, ...plainJson } = JSON.parse(JSON.stringify(json)) as Record<string, unknown>;
      return plainJson;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problems.push({ field, message: `${field} is no zod schema that can be written as JSON Schema: ${message}` });
      return null;
    }
  };
  const models = definition['models'];
  const isMap = typeof models === 'object' && models !== null;
  const plain = (name: string): unknown => {
    const value = definition[name];
    return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
  };
  return {
    ok: true,
    definition: {
      type: definition['type'] as string,
      description: plain('description'),
      version: plain('version'),
      frequency: plain('frequency'),
      autoStart: plain('autoStart'),
      scopes: plain('scopes'),
      endpoints: plain('endpoints'),
      endpoint: plain('endpoint'),
      syncType: plain('syncType'),
      trackDeletes: plain('trackDeletes'),
      webhookSubscriptions: plain('webhookSubscriptions'),
      event: plain('event'),
      hasExec: typeof definition['exec'] === 'function',
      hasOnWebhook: typeof definition['onWebhook'] === 'function',
      ...(isMap && {
        models: Object.fromEntries(
          Object.entries(models).map(([name, schema]) => [name, schemaOf(`models.${name}`, schema)]),
        ),
      }),
      input: schemaOf('input', definition['input']),
      output: schemaOf('output', definition['output']),
      metadata: schemaOf('metadata', definition['metadata']),
      checkpoint: schemaOf('checkpoint', definition['checkpoint']),
      problems,
    },
  };
}
