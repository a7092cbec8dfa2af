/** Every scope a key may hold (wire contract A.2); `X:*` grants all that begin with `X:`. */
export const ENVIRONMENT_SCOPES = {
  providersRead: [] as readonly string[],
  integrationsList: ['environment:integrations:list', 'environment:integrations:list_credentials'],
  integrationsRead: ['environment:integrations:read', 'environment:integrations:read_credentials'],
  integrationsCredentials: 'environment:integrations:read_credentials',
  integrationsCreate: ['environment:integrations:create'],
  integrationsUpdate: ['environment:integrations:update'],
  integrationsDelete: ['environment:integrations:delete'],
  connectionsList: ['environment:connections:list', 'environment:connections:list_credentials'],
  connectionsRead: ['environment:connections:read', 'environment:connections:read_credentials'],
  connectionsCredentials: 'environment:connections:read_credentials',
  connectionsCreate: ['environment:connections:create'],
  connectionsUpdate: ['environment:connections:update'],
  connectionsDelete: ['environment:connections:delete'],
  connectSessionsWrite: ['environment:connect_sessions:write'],
  proxy: ['environment:proxy'],
} as const;
