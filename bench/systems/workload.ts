/** The workload behind every system: nginx, because it is far faster than what is measured. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import { tool } from '../lib/tools.ts';

/** Size of the file that is moved: 100 MB, as in the table of targets. */
export const TRANSFER_BYTES = 100_000_000;

export interface Workload extends AsyncDisposable {
  /** `/small`: 100 bytes; `/file`: TRANSFER_BYTES; PUT `/put/…`: takes a body, answers when it has all of it. */
  readonly httpPort: number;
  /** WebSocket echo. */
  readonly echoPort: number;
  /** A local copy of the file, to upload. */
  readonly file: string;
}

export async function startWorkload(directory: string): Promise<Workload> {
  const root = join(directory, 'workload');
  mkdirSync(join(root, 'put'), { recursive: true, mode: 0o755 });
  const file = join(root, 'file');
  writeFileSync(file, Buffer.alloc(TRANSFER_BYTES, 'burrow '));
  const httpPort = await freePort();
  const echoPort = await freePort();
  const config = join(root, 'nginx.conf');
  writeFileSync(
    config,
    `${nginxPreamble(root)}
      server {
        listen 127.0.0.1:${httpPort} reuseport backlog=4096;
        root ${root};
        location = /small { return 200 "${'0123456789'.repeat(10)}"; }
        location /put/ { dav_methods PUT; }
        # On the slow line everything shares one way in, so the echo is reached through here as well.
        location = /echo {
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection "upgrade";
          proxy_pass http://127.0.0.1:${echoPort};
        }
      }
    }`,
  );
  const nginx = new Child(tool('nginx'), ['-c', config, '-p', root, '-g', 'daemon off;']);
  const echo = new Child(process.execPath, [
    join(import.meta.dirname, 'echo-process.ts'),
    String(echoPort),
  ]);
  await Promise.all([nginx.listening(httpPort), echo.listening(echoPort)]);
  return {
    httpPort,
    echoPort,
    file,
    [Symbol.asyncDispose]: async () => void (await Promise.all([nginx.stop(), echo.stop()])),
  };
}

/** What both nginx roles share: a worker per core, no logs on the hot path, connections kept open. */
export function nginxPreamble(directory: string): string {
  return `
    worker_processes auto;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    pid ${directory}/nginx.pid;
    error_log ${directory}/error.log error;
    events { worker_connections 4096; }
    http {
      access_log off;
      sendfile on;
      tcp_nopush on;
      tcp_nodelay on;
      keepalive_timeout 600s;
      keepalive_requests 1000000000;
      client_max_body_size 0;
      client_body_temp_path ${directory}/body;
      proxy_temp_path ${directory}/proxy;
      fastcgi_temp_path ${directory}/fastcgi;
      uwsgi_temp_path ${directory}/uwsgi;
      scgi_temp_path ${directory}/scgi;`;
}
