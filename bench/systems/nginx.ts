import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import { tool } from '../lib/tools.ts';
import type { System } from '../scenario.ts';
import { nginxPreamble, type Workload } from './workload.ts';

/** nginx as a plain reverse proxy: one hop, upstream connections kept, bodies streamed, no access log. */
export async function startNginx(
  workload: Workload,
  directory: string,
): Promise<System & AsyncDisposable> {
  const root = join(directory, 'nginx');
  mkdirSync(root, { recursive: true });
  const port = await freePort();
  const config = join(root, 'nginx.conf');
  writeFileSync(
    config,
    `${nginxPreamble(root)}
      upstream http { server 127.0.0.1:${workload.httpPort}; keepalive 128; keepalive_requests 1000000000; }
      upstream echo { server 127.0.0.1:${workload.echoPort}; }
      server {
        listen 127.0.0.1:${port} reuseport backlog=4096;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_set_header Host $http_host;
        location / { proxy_set_header Connection ""; proxy_pass http://http; }
        location = /echo {
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection "upgrade";
          proxy_pass http://echo;
        }
      }
    }`,
  );
  const nginx = new Child(tool('nginx'), ['-c', config, '-p', root, '-g', 'daemon off;']);
  await nginx.listening(port);
  return {
    endpoint: () => ({ port, headers: { Host: `127.0.0.1:${port}` } }),
    [Symbol.asyncDispose]: () => nginx.stop(),
  };
}
