import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { endUserToWire } from '../../connections/index.ts';
import type { ConnectDeps } from '../deps.ts';
import { errors } from '../errors.ts';
import { sessionOf } from '../sessions.ts';

const THEME = { light: { primary: '#1f5fd6' }, dark: { primary: '#7aa7ff' } };

function filled(table: object): boolean {
  return Object.keys(table).length > 0;
}

/** What a session allows, as the Connect page needs it (wire contract B.6). */
export function getSessionRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'GET',
    path: '/connect/session',
    summary: 'Read the present connect session',
    auth: { by: 'session' },
    query: z.strictObject({}),
    errors: ['unknown_connect_session_token'],
    async handle(request) {
      const session = await sessionOf(deps, request.principal);
      if (session === undefined) throw errors.fail('unknown_connect_session_token');
      return {
        headers: { 'cache-control': 'no-store' },
        body: {
          data: {
            endUser: endUserToWire(session.endUser),
            ...(session.allowedIntegrations && { allowed_integrations: session.allowedIntegrations }),
            ...(filled(session.configDefaults) && { integrations_config_defaults: session.configDefaults }),
            ...(session.reconnectId !== undefined && { isReconnecting: true }),
            ...(filled(session.overrides) && { overrides: session.overrides }),
            connectUISettings: { theme: THEME, defaultTheme: 'system', showWatermark: false },
            websocketsPath: '/',
          },
        },
      };
    },
  });
}
