import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { DeployedFunction } from '../model.ts';
import { scriptToWire } from '../wire.ts';
import type { FunctionRouteDeps } from '../find.ts';

/** All functions by integration, or all actions as tools of a language model. */
export function listScriptsRoute({ functions, integrations }: FunctionRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/scripts/config',
    summary: 'All functions by integration, or as tools for a language model',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsListFunctions },
    query: z.object({ format: z.enum(['nango', 'openai']).optional() }),
    errors: [],
    async handle(request) {
      const { id } = environmentOf(request);
      const all = await functions.list(id);
      if (request.query.format === 'openai') {
        return { body: { data: all.filter((fn) => fn.kind === 'action' && fn.enabled).map(toTool) } };
      }
      const known = await integrations.list(id);
      return {
        body: known.flatMap((integration) => {
          const own = all.filter((fn) => fn.integrationId === integration.id);
          if (own.length === 0) return [];
          const ofKind = (kind: DeployedFunction['kind']) => own.filter((fn) => fn.kind === kind).map(scriptToWire);
          return [
            {
              providerConfigKey: integration.uniqueKey,
              provider: integration.provider.name,
              syncs: ofKind('sync'),
              actions: ofKind('action'),
              'on-events': ofKind('on-event'),
            },
          ];
        }),
      };
    },
  });
}

interface ObjectSchema {
  type?: unknown;
  properties?: Record<string, Record<string, unknown>>;
  required?: string[];
}

function toTool(fn: DeployedFunction): Record<string, unknown> {
  const { definition } = fn;
  const input = definition.jsonSchema?.definitions[definition.input ?? ''] as ObjectSchema | undefined;
  const told = describedParameters(definition.description ?? '');
  const properties = Object.entries(input?.properties ?? {}).map(([name, schema]) => {
    const description = schema['description'] ?? told.get(name);
    return [name, { ...schema, ...(description !== undefined && { description }) }];
  });
  return {
    name: fn.name,
    description: definition.description ?? '',
    parameters: { type: 'object', properties: Object.fromEntries(properties), required: input?.required ?? [] },
  };
}

const LIST_ITEM = /^[-*]\s{1,8}`?(\w{1,255})`?\s{0,8}[:–-](.+)$/;

/** `- name: what it is` in the description of an action tells about its parameter. */
function describedParameters(description: string): Map<string, string> {
  const told = new Map<string, string>();
  for (const line of description.split('\n')) {
    const match = LIST_ITEM.exec(line.slice(0, 2_000).trim());
    if (match !== null) told.set(match[1] as string, (match[2] as string).trim());
  }
  return told;
}
