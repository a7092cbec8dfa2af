/** Tokens that come after the delete: a refresh was under way. */
import { describe, expect, it } from 'vitest';
import { eventually, type Core, type CoreNode } from '../../../test/support/build.ts';
import type { TokenServer } from '../../../test/support/token-server.ts';
import { useDisconnectStage } from './disconnect.test-support.ts';

let server: TokenServer;
let core: Core;
let other: CoreNode;
const { connectedTo, letGo, makeDue, outcomeOf, stored, task, told, viaRevocation } = useDisconnectStage((stage) => {
  ({ server, core, other } = stage);
});

describe('fault 26: a delete while a refresh runs', () => {
  async function refreshingWhileDeleted(node: CoreNode) {
    const subject = await connectedTo(await viaRevocation());
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const refreshing = node.credentials
      .live(core.environment.id, subject.integration.uniqueKey, 'customer-1', { force: true })
      .catch((error: unknown) => error);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    return { subject, refreshing, answer: () => gate.resolve() };
  }

  it('writes nothing after the delete, revokes the token that came late, and tells nobody twice', async () => {
    const { subject, refreshing, answer } = await refreshingWhileDeleted(other);
    expect(await letGo(subject)).toMatchObject({ outcome: 'revoked' });
    answer();
    expect(await refreshing).toMatchObject({ code: 'unknown_connection' });
    expect(await stored(subject)).toMatchObject({ state: 'disconnected', secrets: 0, answers: 1 });
    server.revocations.length = 0;
    await core.node.disconnect.sweep();
    expect(server.revocations.map(({ hint }) => hint)).toEqual(['refresh_token', 'access_token']);
    expect(server.revocations[0]?.token).not.toBe(subject.tokens.refresh_token);
    expect(await stored(subject)).toMatchObject({ state: 'disconnected', secrets: 0, answers: 0 });
    expect(await outcomeOf(subject)).toMatchObject({ outcome: 'revoked' });
    expect(await task(subject)).toMatchObject({ sealed: null });
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('adds the late token to a task that still waits', async () => {
    const { subject, refreshing, answer } = await refreshingWhileDeleted(other);
    server.letGoStatus = 503;
    expect(await letGo(subject)).toMatchObject({ outcome: 'pending' });
    answer();
    await refreshing;
    server.letGoStatus = 200;
    server.revocations.length = 0;
    await core.node.disconnect.sweep();
    expect(server.revocations).toHaveLength(4);
    expect(await told(subject)).toEqual(['revoked']);
    expect(await stored(subject)).toMatchObject({ answers: 0 });
  });

  it('with a task that cannot be opened holds up nobody else', async () => {
    const { subject, refreshing, answer } = await refreshingWhileDeleted(other);
    const waiting = await connectedTo(await viaRevocation());
    server.letGoStatus = 503;
    await letGo(subject);
    await letGo(waiting);
    answer();
    await refreshing;
    await core.db.query(`UPDATE disconnect_task SET sealed = sealed || '\\x00'::bytea WHERE connection_id = $1`, [
      subject.connection.id,
    ]);
    await makeDue(waiting);
    server.letGoStatus = 200;
    await core.node.disconnect.sweep();
    expect(await told(waiting)).toEqual(['revoked']);
    expect(await stored(subject)).toMatchObject({ answers: 1 });
    await core.db.query('DELETE FROM refresh_journal WHERE connection_id = $1', [subject.connection.id]);
  });

  it('refuses to start a refresh once the delete has begun', async () => {
    const subject = await connectedTo(await viaRevocation());
    await letGo(subject);
    await expect(
      other.credentials.live(core.environment.id, subject.integration.uniqueKey, 'customer-1', { force: true }),
    ).rejects.toMatchObject({ code: 'unknown_connection' });
    expect(server.requests).toHaveLength(0);
  });
});
