import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ROOT } from '../../../../scripts/lib/project-node.mjs';
import type { Certificate } from '../../../harness/certificate.ts';
import { eventually } from '../../../harness/eventually.ts';

export const BALANCERS = ['nginx', 'haproxy'] as const;
export type BalancerName = (typeof BALANCERS)[number];

/** What stands in the text of docs/load-balancers.md, and what is there in this test. */
export interface Places {
  readonly folder: string;
  readonly certificate: Certificate;
  readonly domain: string;
  /** Where the balancer listens. */
  readonly https: number;
  readonly ssh: number;
  /** The relay's. */
  readonly relay: { readonly port: number; readonly ssh: number };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The settings of docs/load-balancers.md, with only addresses, ports and names of files replaced. */
function settings(name: BalancerName, places: Places): string {
  const docs = readFileSync(join(ROOT, 'docs/load-balancers.md'), 'utf8');
  const text = new RegExp(`\`\`\`${name}\n([^]*?)\`\`\``).exec(docs)?.[1];
  if (text === undefined) throw new Error(`docs/load-balancers.md has no settings for ${name}`);
  const { certificate, https, ssh, relay } = places;
  const changed = text
    // One relay is there: the second server goes.
    .replaceAll(/^ *server (two )?10\.0\.0\.12:.*\n/gm, '')
    .replaceAll('10.0.0.11:8150', `127.0.0.1:${relay.port}`)
    .replaceAll('10.0.0.11:2222', `127.0.0.1:${relay.ssh}`)
    .replaceAll('check port 8150', `check port ${relay.port}`)
    .replaceAll('listen 443', `listen 127.0.0.1:${https}`)
    .replaceAll('listen 22;', `listen 127.0.0.1:${ssh};`)
    .replaceAll('bind :443', `bind 127.0.0.1:${https}`)
    .replaceAll('bind :22', `bind 127.0.0.1:${ssh}`)
    // More than a container's limit of open files may allow.
    .replace('maxconn 65536', 'maxconn 4096')
    .replaceAll('burrow.example.com', places.domain)
    .replaceAll('/etc/nginx/burrow.crt', certificate.certFile)
    .replaceAll('/etc/nginx/burrow.key', certificate.keyFile)
    .replaceAll('/etc/haproxy/burrow.pem', join(places.folder, 'both.pem'));
  if (name === 'haproxy') return changed;
  // What a machine's own nginx has from its build: folders that only root may write to.
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (each) => `${each}_temp_path ${places.folder}/${each};`,
  );
  return changed
    .replace('http {', `http {\n${paths.join('\n')}`)
    .replace(
      'worker_processes auto;',
      `worker_processes 1;\npid ${places.folder}/nginx.pid;\ndaemon off;`,
    );
}

export interface Balancer extends AsyncDisposable {
  readonly said: string;
}

export async function startBalancer(name: BalancerName, places: Places): Promise<Balancer> {
  const { folder, certificate } = places;
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, settings(name, places));
  const both =
    readFileSync(certificate.certFile, 'utf8') + readFileSync(certificate.keyFile, 'utf8');
  writeFileSync(join(folder, 'both.pem'), both, { mode: 0o600 });
  const [program, args] =
    name === 'nginx'
      ? ['/usr/sbin/nginx', ['-e', 'stderr', '-c', file]]
      : ['/usr/sbin/haproxy', ['-db', '-f', file]];
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill(name === 'nginx' ? 'SIGTERM' : 'SIGUSR1');
    const hurry = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await exited;
    clearTimeout(hurry);
  };
  try {
    for (const port of [places.https, places.ssh]) {
      await eventually(`${name} listens`, async () => {
        if (child.exitCode !== null) return true;
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.destroy();
        return true;
      });
      if (child.exitCode !== null) throw new Error(`It ended with code ${child.exitCode}.`);
    }
  } catch (error) {
    await stop();
    throw new Error(`${name} did not start: ${said}`, { cause: error });
  }
  return {
    get said() {
      return said;
    },
    [Symbol.asyncDispose]: stop,
  };
}
