import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import { tool } from '../lib/tools.ts';
import type { System } from '../scenario.ts';
import type { Workload } from './workload.ts';

/** Caddy as a plain reverse proxy: one hop, upstream connections kept, no access log. */
export async function startCaddy(
  workload: Workload,
  directory: string,
): Promise<System & AsyncDisposable> {
  const root = join(directory, 'caddy');
  mkdirSync(root, { recursive: true });
  const port = await freePort();
  const config = join(root, 'Caddyfile');
  writeFileSync(
    config,
    `{
      admin off
      auto_https off
      log {
        level ERROR
      }
    }
    http://:${port} {
      bind 127.0.0.1
      reverse_proxy /echo 127.0.0.1:${workload.echoPort}
      reverse_proxy 127.0.0.1:${workload.httpPort} {
        transport http {
          keepalive_idle_conns_per_host 128
        }
      }
    }`,
  );
  const caddy = new Child(tool('caddy'), ['run', '--config', config, '--adapter', 'caddyfile'], {
    HOME: root,
    XDG_DATA_HOME: root,
    XDG_CONFIG_HOME: root,
  });
  await caddy.listening(port);
  return {
    endpoint: () => ({ port, headers: { Host: `127.0.0.1:${port}` } }),
    [Symbol.asyncDispose]: () => caddy.stop(),
  };
}
