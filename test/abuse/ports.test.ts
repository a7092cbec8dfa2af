/** What a running program listens on: as many ports as it says, no more, and nothing behind them without a credential. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/platform/keyring/index.ts';
import { createTestDatabase } from '../support/database.ts';
import { descendantsOf, scratchDir, startProgram, untilReady, type Program } from '../support/process.ts';

const cleanUp: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).toReversed()) await undo();
});

function start(args: string[], settings: Record<string, string>): Program {
  const program = startProgram(args, settings);
  cleanUp.push(async () => {
    program.child.kill('SIGTERM');
    await program.exited;
  });
  return program;
}

interface Listening {
  protocol: string;
  address: string;
  port: number;
}

/** Every listening socket of a process and of those it started, from what the kernel says. */
async function listeningOf(pid: number): Promise<Listening[]> {
  const inodes = new Set<string>();
  for (const one of [pid, ...(await descendantsOf(pid))]) {
    const descriptors = await readdir(`/proc/${one}/fd`).catch(() => []); // it has just ended
    for (const each of descriptors) {
      const target = await readlink(`/proc/${one}/fd/${each}`).catch(() => ''); // closed meanwhile
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  }
  const found: Listening[] = [];
  for (const protocol of ['tcp', 'tcp6', 'udp', 'udp6']) {
    const table = await readFile(`/proc/net/${protocol}`, 'utf8').catch(() => ''); // no IPv6 here
    for (const line of table.split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      // 0A: listening. A UDP socket that is bound but not connected is 07.
      if (!inodes.has(inode) || state !== (protocol.startsWith('tcp') ? '0A' : '07')) continue;
      found.push({ protocol, address, port: Number.parseInt(port, 16) });
    }
  }
  return found;
}

/** 127.0.0.1 and ::1 as the kernel writes them. */
const LOOPBACK = ['0100007F', '00000000000000000000000001000000'];

describe.skipIf(process.platform !== 'linux')('abuse 29: ports', () => {
  it('abuse 29: in production there is one', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const folder = await scratchDir();
    cleanUp.push(() => folder.remove());
    const program = start(['start'], {
      DATABASE_URL: database.url,
      HAWSER_PORT: '0',
      HAWSER_DATA_DIR: join(folder.path, 'data'),
      HAWSER_ENCRYPTION_KEY: generateKey(),
    });
    const { url } = await untilReady(program, join(folder.path, 'data'));
    const listening = await listeningOf(program.child.pid as number);
    expect([...new Set(listening.map(({ port }) => port))]).toEqual([Number(new URL(url).port)]);
    for (const { address, protocol } of listening) {
      expect(protocol).toMatch(/^tcp/);
      expect(LOOPBACK).toContain(address);
    }
  });

  it('abuse 29: beside it, only the database and the emulators of dev; on loopback, the database with a password', async () => {
    const folder = await scratchDir();
    cleanUp.push(() => folder.remove());
    const dataDir = join(folder.path, 'data');
    const program = start(['dev'], { HAWSER_PORT: '0', HAWSER_EMULATOR_PORT: '0', HAWSER_DATA_DIR: dataDir });
    const { url, emulatorUrl } = await untilReady(program, dataDir);
    const listening = await listeningOf(program.child.pid as number);
    for (const { address } of listening) expect(LOOPBACK).toContain(address);
    const known = [url, emulatorUrl].map((each) => Number(new URL(each).port));
    const others = [...new Set(listening.map(({ port }) => port))].filter((port) => !known.includes(port));
    expect(others).toHaveLength(1);
    for (const [user, password] of [
      ['postgres', ''],
      ['postgres', 'postgres'],
      ['hawser', ''],
      ['hawser', 'hawser'],
      ['root', ''],
    ] as const) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: others[0] as number,
        user,
        password,
        database: 'postgres',
      });
      const refusal = await client.connect().then(
        () => client.end(),
        (error: { code?: string; message: string }) => error,
      );
      expect([user, password, refusal]).toEqual([
        user,
        password,
        expect.objectContaining({ message: expect.any(String) }),
      ]);
      // 28P01: wrong password; 28000: no such user. An empty password is refused by the client's own side of SCRAM.
      expect((refusal as { code?: string }).code ?? 'SASL').toMatch(/^(28P01|28000|SASL)$/);
    }
  });
});
