import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import { SERVER_ALGORITHMS } from '../algorithms.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { tune } from '../raw-connection.ts';

export interface CommandServerOptions {
  /** Private, in OpenSSH's form. */
  readonly hostKey: string;
  /** `SHA256:…`: these keys are admitted, under any user name, and no others. */
  readonly admits: readonly string[];
}

/** Stands for a workload's SSH server on one connection: runs commands by `sh -c`, and nothing else. */
export function serveCommands(stream: Duplex, options: CommandServerOptions): void {
  const children = new Set<ChildProcess>();
  const server = new ssh2.Server(
    { hostKeys: [options.hostKey], algorithms: { ...SERVER_ALGORITHMS } },
    (connection) => {
      tune(connection);
      connection.on('error', () => {});
      connection.on('authentication', (context) => {
        if (context.method !== 'publickey') return context.reject(['publickey']);
        const admitted = options.admits.includes(fingerprintOf(context.key.data));
        return admitted ? context.accept() : context.reject(['publickey']);
      });
      connection.on('session', (accept) => {
        accept().on('exec', (acceptExec, _reject, { command }) => {
          const channel = acceptExec();
          const child = spawn('sh', ['-c', command], { stdio: 'pipe' });
          children.add(child);
          channel.pipe(child.stdin).on('error', () => {});
          child.stdout.pipe(channel, { end: false });
          child.stderr.pipe(channel.stderr, { end: false });
          channel.on('close', () => child.kill('SIGKILL'));
          child.on('close', (code, signal) => {
            children.delete(child);
            if (signal === null) channel.exit(code ?? 0);
            else channel.exit(signal.slice(3));
            channel.end();
          });
        });
      });
      // A connection that is cut says nothing to its channels.
      connection.on('close', () => {
        for (const child of children) child.kill('SIGKILL');
      });
    },
  );
  server.injectSocket(stream as never);
}
