/** Rows for what the app is told: endpoints and deliveries. */
import type { Row } from './matrix-rows.ts';
import type { Matrix, World } from './matrix.ts';

/** An endpoint to speak of, the same each time: its id stands in for a run's. */
async function withEndpoint(matrix: Matrix, world: World): Promise<World> {
  const listed = await matrix.api(world, 'GET', '/endpoints');
  const [first] = listed.body.endpoints as { id: string }[];
  return first === undefined ? withNewEndpoint(matrix, world) : { ...world, run: first.id };
}

async function withNewEndpoint(matrix: Matrix, world: World): Promise<World> {
  const answer = await matrix.api(world, 'POST', '/endpoints', { url: world.hooks, description: world.mark });
  return { ...world, run: answer.body.data.id as string };
}

/** A delivery to speak of, already made. */
async function withDelivery(matrix: Matrix, world: World): Promise<World> {
  const { run: endpoint } = await withEndpoint(matrix, world);
  const [delivery] = await matrix.app.db.query<{ id: number }>(
    `WITH v AS (INSERT INTO event (environment_id, type, payload, sealed, is_handled)
                SELECT id, 'auth', '{}', NULL, true FROM environment WHERE name = $1 RETURNING environment_id, id)
     INSERT INTO delivery (environment_id, event_id, endpoint_id, state)
     SELECT v.environment_id, v.id, $2, 'failed' FROM v RETURNING id`,
    [world.name, endpoint],
  );
  return { ...world, run: String(delivery?.id) };
}

function endpointRow(method: string, path: (id: string) => string, more: Partial<Row> & { body?: unknown } = {}): Row {
  const { body = {}, ...row } = more;
  const hasBody = method !== 'GET' && method !== 'DELETE';
  return {
    call: (world) => ({ path: path(world.run), ...(hasBody && { body }) }),
    ok: 200,
    prepare: withEndpoint,
    ...row,
  };
}

export const outboundRows: Record<string, Row> = {
  'GET /endpoints': { call: () => ({ path: '/endpoints' }), ok: 200 },
  'POST /endpoints': {
    call: (world) => ({ path: '/endpoints', body: { url: world.hooks, description: world.mark } }),
    ok: 201,
  },
  'GET /endpoints/settings': { call: () => ({ path: '/endpoints/settings' }), ok: 200 },
  'PATCH /endpoints/settings': {
    call: () => ({ path: '/endpoints/settings', body: { on_sync_error: true } }),
    ok: 200,
  },
  'GET /endpoints/:id': endpointRow('GET', (id) => `/endpoints/${id}`),
  'PATCH /endpoints/:id': endpointRow('PATCH', (id) => `/endpoints/${id}`, { body: { enabled: true } }),
  'DELETE /endpoints/:id': endpointRow('DELETE', (id) => `/endpoints/${id}`, { prepare: withNewEndpoint }),
  'GET /endpoints/:id/secret': endpointRow('GET', (id) => `/endpoints/${id}/secret`),
  'POST /endpoints/:id/rotate': endpointRow('POST', (id) => `/endpoints/${id}/rotate`),
  'POST /endpoints/:id/test': endpointRow('POST', (id) => `/endpoints/${id}/test`),
  'POST /environment/webhook-signing-key/rotate': {
    call: () => ({ path: '/environment/webhook-signing-key/rotate', body: {} }),
    ok: 200,
  },
  'GET /deliveries': { call: () => ({ path: '/deliveries' }), ok: 200 },
  'GET /deliveries/:id': {
    call: (world) => ({ path: `/deliveries/${world.run}` }),
    ok: 200,
    prepare: withDelivery,
  },
  'POST /deliveries/:id/replay': {
    call: (world) => ({ path: `/deliveries/${world.run}/replay`, body: {} }),
    // It has no body.
    ok: 409,
    prepare: withDelivery,
  },
  'POST /deliveries/replay': {
    call: () => ({ path: '/deliveries/replay', body: { state: 'failed' } }),
    ok: 200,
  },
};
