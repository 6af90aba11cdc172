import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateHostKey, tune } from '@burrow/ssh';
import ssh2 from 'ssh2';
import { serveSftp } from './serve.ts';

/** A folder that is gone after the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'burrow-sftp-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

export interface TestServer {
  readonly port: number;
  readonly privateKey: string;
  /** What OpenSSH's programs need to find and trust this server, but for their port. */
  readonly options: readonly string[];
}

/** An SSH server on loopback that admits one key and serves nothing but SFTP. */
export async function sftpServer(t: TestContext, home: string): Promise<TestServer> {
  const keys = await folder(t);
  const host = generateHostKey();
  const user = generateHostKey();
  const admitted = ssh2.utils.parseKey(user.publicLine);
  if (admitted instanceof Error) throw admitted;
  const gone = new AbortController();
  const server = new ssh2.Server({ hostKeys: [host.privateKey] }, (connection) => {
    tune(connection);
    connection.on('error', () => {});
    connection.on('authentication', (attempt) => {
      if (attempt.method !== 'publickey') return attempt.reject(['publickey']);
      const known = attempt.key.data.equals(admitted.getPublicSSH());
      const signed =
        attempt.signature === undefined ||
        admitted.verify(attempt.blob ?? '', attempt.signature, attempt.hashAlgo) === true;
      return known && signed ? attempt.accept() : attempt.reject();
    });
    connection.on('session', (accept) => {
      accept().on('subsystem', (acceptIt, reject, { name }) => {
        if (name === 'sftp') serveSftp(acceptIt(), { home, signal: gone.signal });
        else reject();
      });
    });
    t.after(() => connection.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    gone.abort();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const identity = join(keys, 'id');
  await writeFile(identity, user.privateKey, { mode: 0o600 });
  await writeFile(join(keys, 'known'), `[127.0.0.1]:${port} ${host.publicLine}\n`);
  const settings = [
    `IdentityFile=${identity}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    `UserKnownHostsFile=${join(keys, 'known')}`,
    'StrictHostKeyChecking=yes',
    'BatchMode=yes',
    'LogLevel=ERROR',
    `Port=${port}`,
  ];
  const options = ['-F', 'none', ...settings.flatMap((setting) => ['-o', setting])];
  return { port, privateKey: user.privateKey, options };
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of OpenSSH's programs; `input` is its standard input. */
export function run(file: string, args: readonly string[], input = '', cwd = '/'): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' };
    const child = spawn(file, args, { env, cwd, timeout: 60_000 });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (data: string) => (stdout += data));
    child.stderr.setEncoding('utf8').on('data', (data: string) => (stderr += data));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

/** Runs `sftp` with a batch of commands. */
export function sftp(server: TestServer, batch: string): Promise<Ran> {
  return run('sftp', [...server.options, '-b', '-', '127.0.0.1'], batch);
}
