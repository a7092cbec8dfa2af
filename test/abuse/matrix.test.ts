/** Who may call what: every route of the router × eight credentials × two environments with equal names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RouteAuth } from '../../src/base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../src/features/environments/index.ts';
import { KEY_PRINCIPAL, startEdge } from './edge.ts';
import {
  foreignNames,
  routesWithoutRows,
  routesWithRows,
  startMatrix,
  type Matrix,
  type World,
} from '../support/matrix.ts';
import { rows } from '../support/matrix-rows.ts';

let matrix: Matrix;
beforeAll(async () => {
  matrix = await startMatrix();
});
afterAll(() => matrix?.close());

type Outcome = 'rightful' | 401 | 403;

/** The eight credentials: the header, and what a route with this auth must say to it. */
interface Credential {
  name: string;
  header(): string | undefined;
  outcome(auth: Exclude<RouteAuth, { by: 'public' }>): Outcome;
}

const keyOutcome: Credential['outcome'] = (auth) => (auth.by === 'session' ? 401 : 'rightful');
const CREDENTIALS: Credential[] = [
  { name: 'none', header: () => undefined, outcome: () => 401 },
  { name: 'malformed', header: () => 'Basic YTpi', outcome: () => 401 },
  { name: 'unknown', header: () => `Bearer ${crypto.randomUUID()}`, outcome: () => 401 },
  { name: 'dev key', header: () => `Bearer ${matrix.dev.key}`, outcome: keyOutcome },
  { name: 'prod key', header: () => `Bearer ${matrix.prod.key}`, outcome: keyOutcome },
  {
    name: 'key without scope',
    header: () => `Bearer ${matrix.powerless}`,
    outcome: (auth) => (auth.by === 'session' ? 401 : auth.anyOf.length > 0 ? 403 : 'rightful'),
  },
  {
    name: 'session token',
    header: () => `Bearer ${matrix.dev.session}`,
    outcome: (auth) => (auth.by === 'key' ? 401 : 'rightful'),
  },
  { name: 'used session token', header: () => `Bearer ${matrix.usedSession}`, outcome: () => 401 },
];

describe('abuse 27, 28: route × credential', () => {
  it('abuse 28: every route has a row, and every row a route', () => {
    expect(routesWithoutRows(matrix), 'give them a row in test/support/matrix-rows.ts').toEqual([]);
    const names = routesWithRows(matrix).map(({ name }) => name);
    expect(Object.keys(rows).filter((name) => !names.includes(name))).toEqual([]);
    expect(names.length).toBeGreaterThan(50);
  });

  it('abuse 28: who may not call is refused, whatever else the call says, and nothing changes', async () => {
    const before = [await matrix.dump(matrix.dev), await matrix.dump(matrix.prod)];
    let checked = 0;
    for (const { route, row, name } of routesWithRows(matrix)) {
      if (route.auth.by === 'public') continue;
      for (const credential of CREDENTIALS) {
        const expected = credential.outcome(route.auth);
        if (expected === 'rightful') continue;
        const response = await matrix.send(route, row.call(matrix.dev), credential.header());
        expect([name, credential.name, response.status]).toEqual([name, credential.name, expected]);
        if (route.method === 'HEAD') continue;
        const { error } = (await response.json()) as { error: { code: string; message: string } };
        if (expected === 403) expect([name, error.code]).toEqual([name, 'forbidden']);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(150);
    expect([await matrix.dump(matrix.dev), await matrix.dump(matrix.prod)]).toEqual(before);
  });

  it('abuse 28: all scopes but those of the route open nothing', async () => {
    const { environments } = matrix.app.services;
    const dev = await environments.byName('dev');
    const all = [...new Set(Object.values(ENVIRONMENT_SCOPES).flat())];
    const keys = new Map<string, string>();
    let checked = 0;
    for (const { route, row, name } of routesWithRows(matrix)) {
      const own: readonly string[] = 'anyOf' in route.auth ? route.auth.anyOf : [];
      if (own.length === 0) continue;
      const id = own.join(' ');
      if (!keys.has(id)) {
        const scopes = all.filter((scope) => !own.includes(scope));
        const made = await environments.createKey({ environmentId: dev?.id as number, displayName: id, scopes });
        keys.set(id, made.secret);
      }
      const response = await matrix.send(route, row.call(matrix.dev), `Bearer ${keys.get(id)}`);
      expect([name, response.status]).toEqual([name, 403]);
      checked += 1;
    }
    expect(checked).toBeGreaterThan(25);
  });

  it('abuse 28: public routes answer the same to every credential', async () => {
    for (const { route, row, name } of routesWithRows(matrix)) {
      if (route.auth.by !== 'public') continue;
      const statuses = new Set<number>();
      for (const credential of CREDENTIALS) {
        const world = row.prepare === undefined ? matrix.dev : await row.prepare(matrix, matrix.dev);
        statuses.add((await matrix.send(route, row.call(world), credential.header())).status);
      }
      const [status = 0] = statuses;
      expect([name, statuses.size, status < 500]).toEqual([name, 1, true]);
      if (row.ok !== undefined) expect([name, status]).toEqual([name, row.ok]);
    }
  });

  it.each(['dev', 'prod'] as const)(
    'abuse 27: the rightful caller of %s is served, and the other environment, full of the same names, stays as it was',
    async (name) => {
      const world = matrix[name];
      const other = name === 'dev' ? matrix.prod : matrix.dev;
      const before = await matrix.dump(other);
      for (const { route, row, name: routeName } of routesWithRows(matrix)) {
        if (route.auth.by === 'public') continue;
        const own = row.prepare === undefined ? world : await row.prepare(matrix, world);
        const credentials = route.auth.by === 'key' ? [own.key] : route.auth.by === 'session' ? [own.session] : [own.key, own.session]; // prettier-ignore
        for (const credential of credentials) {
          const response = await matrix.send(route, row.call(own), `Bearer ${credential}`);
          const text = await response.text();
          expect([routeName, response.status, text]).toEqual([routeName, row.ok, text]);
          expect([routeName, text.includes(other.mark)]).toEqual([routeName, false]);
        }
      }
      expect(await matrix.dump(other)).toBe(before);
    },
  );

  it('abuse 27: what reaches the provider is the credential of the caller’s own environment', async () => {
    for (const world of [matrix.dev, matrix.prod]) {
      const response = await matrix.send({ method: 'GET' }, rows['GET /proxy/*']!.call(world), `Bearer ${world.key}`);
      expect(await response.json()).toMatchObject({ got: `Bearer token-${world.mark}` });
    }
  });
});

describe('abuse 27: names of another environment', () => {
  it.each([
    ['dev', 'prod'],
    ['prod', 'dev'],
  ] as const)(
    'abuse 27: %s finds nothing of %s by its names: 400 or 404, and nothing changes',
    async (mine, theirs) => {
      const outside = matrix[theirs];
      const foreign = await foreignNames(matrix, outside);
      const inside = matrix[mine];
      const before = await matrix.dump(outside);
      let checked = 0;
      for (const { route, row, name } of routesWithRows(matrix)) {
        for (const world of variants(inside, foreign, row.names ?? [])) {
          const credential = route.auth.by === 'public' ? undefined : `Bearer ${inside.key}`;
          const response = await matrix.send(route, row.call(world), credential);
          const text = await response.text();
          expect([name, [400, 404].includes(response.status), response.status, text]).toEqual([
            name,
            true,
            response.status,
            text,
          ]);
          expect([name, text.includes(outside.mark)]).toEqual([name, false]);
          checked += 1;
        }
      }
      expect(checked).toBeGreaterThan(25);
      expect(await matrix.dump(outside)).toBe(before);
      // The names are real: their own environment finds them.
      const read = { ...outside, ...foreign };
      const own = await matrix.send({ method: 'GET' }, rows['GET /connections/:connectionId']!.call(read), `Bearer ${outside.key}`); // prettier-ignore
      expect(own.status).toBe(200);
    },
  );

  it('abuse 27: a session of one environment opens nothing of another', async () => {
    const { integration } = await foreignNames(matrix, matrix.prod);
    const session = await matrix.newSession(matrix.dev);
    const listed = await matrix.send({ method: 'GET' }, { path: '/connect/session/integrations' }, `Bearer ${session}`);
    expect(await listed.text()).not.toContain(integration);
    for (const path of ['/oauth/connect', '/api-auth/api-key', '/api-auth/basic', '/auth/unauthenticated']) {
      const method = path === '/oauth/connect' ? 'GET' : 'POST';
      const body = path.endsWith('basic') ? { username: 'u', password: 'p' } : path.endsWith('key') ? { apiKey: 'k' } : undefined; // prettier-ignore
      const call = { path: `${path}/${integration}`, query: { connect_session_token: session }, body };
      const response = await matrix.send({ method }, call);
      expect([path, [400, 404].includes(response.status)]).toEqual([path, true]);
    }
  });
});

describe('abuse 28: a route without auth', () => {
  const handler = () => ({ body: {} });
  const route = { method: 'GET', path: '/open', summary: 'x', errors: [], handle: handler } as const;

  it('abuse 28: does not boot, declared or mounted by a plugin', async () => {
    // A declared route cannot even be written without auth: the type refuses it, so the test forces it.
    await expect(startEdge([{ ...route, auth: undefined as never }])).rejects.toThrow('declares no auth');
    const plugin = { auth: undefined as never, mount: (app: { get(path: string, handle: () => object): unknown }) => void app.get('/x', handler) }; // prettier-ignore
    await expect(startEdge([], { plugins: [plugin] })).rejects.toThrow('GET /x declares no auth');
  });

  it('abuse 28: boots once it says who may call', async () => {
    const edge = await startEdge([{ ...route, auth: { by: 'key', anyOf: ['environment:x'] } }], {
      environments: {
        peekKey: () => ({ ...KEY_PRINCIPAL, scopes: ['environment:y'] }) as never,
        byKey: async () => undefined,
      },
    });
    try {
      expect(edge.routes).toContainEqual({
        method: 'GET',
        path: '/open',
        auth: { by: 'key', anyOf: ['environment:x'] },
      });
      expect((await fetch(`${edge.url}/open`)).status).toBe(401);
      expect((await fetch(`${edge.url}/open`, { headers: { authorization: 'Bearer x' } })).status).toBe(403);
    } finally {
      await edge.close();
    }
  });
});

/** The caller's world with every single foreign name, and with all of them. */
function variants(
  inside: World,
  foreign: Partial<World>,
  names: readonly ('integration' | 'connection' | 'session')[],
): World[] {
  if (names.length === 0) return [];
  const singles = names.map((name) => ({ ...inside, [name]: foreign[name] }));
  return names.length === 1 ? singles : [...singles, { ...inside, ...foreign, session: inside.session }];
}
