/** Two nginx of one worker each: the upstream of 1 KB and 1 MB, and the proxy before it that injects a header. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Nginx {
  version: string;
  upstreamUrl: string;
  proxyUrl: string;
  /** The process of the proxy. */
  proxyPid: number;
  close(): Promise<void>;
}

/** Resolves to undefined when nginx is not installed. */
export async function startNginx(): Promise<Nginx | undefined> {
  const asked = spawnSync('nginx', ['-v'], { encoding: 'utf8' });
  if (asked.error !== undefined) return undefined;
  const version = /nginx\/(\S+)/.exec(asked.stderr)?.[1] ?? 'unknown';
  const directory = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
  // nginx's worker is another user.
  await chmod(directory, 0o755);
  await writeFile(join(directory, '1k'), Buffer.alloc(1024, 'x'), { mode: 0o644 });
  await writeFile(join(directory, '1m'), Buffer.alloc(1024 * 1024, 'x'), { mode: 0o644 });
  const [upstreamPort, proxyPort] = [await freePort(), await freePort()];
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ');
  const common = (name: string): string => `daemon off; worker_processes 1; pid ${directory}/${name}.pid;
error_log ${directory}/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; ${temporary}`;
  const upstreamConfig = `${common('upstream')}
  server { listen 127.0.0.1:${upstreamPort}; root ${directory}; default_type text/plain; }
}`;
  const proxyConfig = `${common('proxy')}
  upstream backend { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${proxyPort};
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer injected"; }
  }
}`;
  const run = async (name: string, config: string): Promise<ChildProcess> => {
    const file = join(directory, `${name}.conf`);
    await writeFile(file, config);
    return spawn('nginx', ['-e', join(directory, 'error.log'), '-c', file], { stdio: 'inherit' });
  };
  const children = [await run('upstream', upstreamConfig), await run('proxy', proxyConfig)];
  const proxyUrl = `http://127.0.0.1:${proxyPort}`;
  await untilAnswers(`${proxyUrl}/1k`, () => children.some((child) => child.exitCode !== null));
  return {
    version,
    upstreamUrl: `http://127.0.0.1:${upstreamPort}`,
    proxyUrl,
    proxyPid: children[1]?.pid as number,
    async close() {
      for (const child of children) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilAnswers(url: string, hasEnded: () => boolean): Promise<void> {
  for (let i = 0; i < 250 && !hasEnded(); i++) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nginx did not start');
}
