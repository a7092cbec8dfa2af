import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Forwards to the server of `target`; can stop forwarding without closing, or first claim the server is starting. */
export async function startProxy(target: string, { refuseFirst = 0 } = {}) {
  const { port, hostname } = new URL(target);
  const sockets = new Set<Socket>();
  let frozen = false;
  let connections = 0;
  const server = createServer((inner) => {
    connections += 1;
    sockets.add(inner);
    inner.on('error', () => inner.destroy());
    if (connections <= refuseFirst) {
      inner.once('data', () => inner.end(errorMessage('57P03', 'the database system is starting up')));
      return;
    }
    const outer = connect(Number(port), hostname);
    sockets.add(outer);
    outer.on('error', () => outer.destroy());
    inner.on('data', (chunk) => !frozen && outer.write(chunk));
    outer.on('data', (chunk) => !frozen && inner.write(chunk));
    inner.on('close', () => outer.destroy());
    outer.on('close', () => !frozen && inner.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    connections: () => connections,
    /** Sockets to the caller and to the server that nobody has closed. */
    open: () => [...sockets].filter((socket) => !socket.destroyed).length,
    freeze() {
      frozen = true;
    },
    thaw() {
      frozen = false;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Speaks just enough of the protocol to answer SHOW server_version_num. */
export async function startFakeServer(version: string) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    let greeted = false;
    socket.on('data', () => {
      if (!greeted) {
        greeted = true;
        socket.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]));
        return;
      }
      const column = Buffer.concat([Buffer.from('server_version_num\0'), Buffer.alloc(6), int32(25), Buffer.alloc(8)]);
      const value = Buffer.from(version);
      socket.write(
        Buffer.concat([
          message('T', Buffer.concat([Buffer.from([0, 1]), column])),
          message('D', Buffer.concat([Buffer.from([0, 1]), int32(value.length), value])),
          message('C', Buffer.from('SHOW\0')),
          message('Z', Buffer.from('I')),
        ]),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function errorMessage(code: string, text: string): Buffer {
  return message('E', Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${text}\0\0`));
}
