import { frequencyProblem } from '../frequency.ts';
import type { FunctionDefinition, FunctionKind } from '../model.ts';
import type { RawDefinition } from './describe.ts';
import { placeOf, type CompileProblem, type FieldName } from './problem.ts';

/** Where a function stands: its folder and file give it its names. */
export interface FunctionFile {
  integration: string;
  kind: FunctionKind;
  name: string;
  /** Path from the project's root. */
  file: string;
  source: string;
}

const EVENTS = ['post-connection-creation', 'pre-connection-deletion', 'validate-connection'];
const KINDS: Record<string, FunctionKind> = { sync: 'sync', action: 'action', onEvent: 'on-event' };
const MODEL = /^[A-Z][a-zA-Z0-9_-]{0,254}$/;
const CREATORS: Record<FunctionKind, string> = {
  sync: 'createSync',
  action: 'createAction',
  'on-event': 'createOnEvent',
};

/** Folder names of the kinds (wire contract F.7). */
export const KIND_FOLDERS: Record<string, FunctionKind> = { syncs: 'sync', actions: 'action', 'on-events': 'on-event' };

export type Defined =
  { ok: true; definition: FunctionDefinition; version: string | undefined } | { ok: false; problems: CompileProblem[] };

/** Checks what a bundle says about itself and makes of it what a deploy sends; pure. */
export function defineFunction(fn: FunctionFile, raw: RawDefinition): Defined {
  const problems: CompileProblem[] = [];
  const complain = (pattern: RegExp | FieldName, message: string): void => {
    problems.push({ file: fn.file, ...placeOf(fn.source, pattern), message });
  };
  const kind = KINDS[raw.type];
  if (kind !== fn.kind) {
    complain(
      /\bcreate(Sync|Action|OnEvent)\b/,
      `This folder holds files of ${CREATORS[fn.kind]}, but this one uses another helper.`,
    );
    return { ok: false, problems };
  }
  for (const { field, message } of raw.problems) complain(fieldPattern(field.split('.').at(-1) as string), message);
  if (!raw.hasExec) complain(/\bcreate(Sync|Action|OnEvent)\b/, 'There is no exec function.');
  if (raw.version !== undefined && typeof raw.version !== 'string')
    complain(fieldPattern('version'), 'version is a text.');

  const definitions: Record<string, unknown> = {};
  const definition: FunctionDefinition = {
    description: textOf(raw.description),
    scopes: listOf(raw.scopes),
    models: [],
    autoStart: false,
    trackDeletes: false,
    endpoints: endpointsOf(raw),
    webhookSubscriptions: [],
    jsonSchema: { definitions },
    features: raw.checkpoint === undefined ? [] : ['checkpoints'],
    attributes: {},
    metadata: { description: textOf(raw.description), scopes: listOf(raw.scopes) },
  };
  const schemaName = (prefix: string): string => `${prefix}_${fn.integration}_${fn.name}`;

  if (kind === 'sync') {
    defineSync();
    if (raw.metadata !== undefined) {
      definition.input = schemaName('SyncMetadata');
      definitions[definition.input] = raw.metadata;
    }
  } else if (kind === 'action') {
    for (const field of ['input', 'output'] as const) {
      if (raw[field] === undefined) {
        complain(/\bcreateAction\b/, `${field} is missing: a zod schema, z.void() for nothing.`);
      }
    }
    definition.input = schemaName('ActionInput');
    definition.models = [schemaName('ActionOutput')];
    definitions[definition.input] = raw.input;
    definitions[definition.models[0] as string] = raw.output;
  } else {
    if (!EVENTS.includes(raw.event as string)) {
      complain(fieldPattern('event'), `event is one of ${EVENTS.join(', ')}.`);
    }
    definition.event = raw.event as FunctionDefinition['event'];
    definition.jsonSchema = undefined;
  }

  function defineSync(): void {
    const models = Object.entries(raw.models ?? {});
    if (models.length === 0)
      complain(fieldPattern('models'), 'models is missing: { Name: z.object({ id: z.string(), … }) }.');
    for (const [name, schema] of models) {
      if (!MODEL.test(name))
        complain(fieldPattern(name), `Model ${name}: a capital letter, then letters, digits, _ and -.`);
      if (schema === null) continue; // told above
      if (!hasTextId(schema)) {
        complain(fieldPattern(name), `Model ${name} has no id: z.string(). The id tells records apart.`);
      }
      definitions[name] = schema;
    }
    definition.models = models.map(([name]) => name);
    const frequency =
      typeof raw.frequency === 'string' ? frequencyProblem(raw.frequency) : 'frequency is missing: "every hour".';
    if (frequency !== undefined) complain(fieldPattern('frequency'), frequency);
    definition.runs = typeof raw.frequency === 'string' ? raw.frequency : undefined;
    // Clients that deploy to others send `false` where nothing is said, and so do we.
    definition.autoStart = raw.autoStart === true;
    definition.trackDeletes = raw.trackDeletes === true;
    if (raw.syncType === 'full' || raw.syncType === 'incremental') definition.syncType = raw.syncType;
    definition.webhookSubscriptions = listOf(raw.webhookSubscriptions) ?? [];
    if (definition.webhookSubscriptions.length > 0 && !raw.hasOnWebhook) {
      complain(fieldPattern('webhookSubscriptions'), 'webhookSubscriptions needs an onWebhook function.');
    }
  }

  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, definition, version: textOf(raw.version) };
}

function hasTextId(schema: unknown): boolean {
  const { properties, required, anyOf, oneOf } = schema as {
    properties?: Record<string, { type?: unknown; anyOf?: { type?: unknown }[] }>;
    required?: string[];
    anyOf?: unknown[];
    oneOf?: unknown[];
  };
  const alternatives = anyOf ?? oneOf;
  if (alternatives !== undefined) return alternatives.every((one) => hasTextId(one));
  const id = properties?.['id'];
  return (
    (id?.type === 'string' || id?.type === 'number' || id?.type === 'integer') && required?.includes('id') === true
  );
}

function endpointsOf(raw: RawDefinition): FunctionDefinition['endpoints'] {
  const list = Array.isArray(raw.endpoints) ? raw.endpoints : raw.endpoint === undefined ? [] : [raw.endpoint];
  return list.flatMap((one: { method?: unknown; path?: unknown; group?: unknown } | null) =>
    typeof one?.method === 'string' && typeof one.path === 'string'
      ? [{ method: one.method, path: one.path, ...(typeof one.group === 'string' && { group: one.group }) }]
      : [],
  );
}

function fieldPattern(name: string): FieldName {
  return { field: name };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function listOf(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : undefined;
}
