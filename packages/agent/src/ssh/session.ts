import { mendOutput } from '@burrow/ssh';
import type { AcceptConnection, RejectConnection, ServerChannel, Session } from 'ssh2';
import { findShell, mayBeSet, sessionEnvironment } from './environment.ts';
import { firstFolder } from './first-folder.ts';
import { AGENT_SSH_LIMITS } from './limits.ts';
import { runCommand, type Running, type Terminal } from './running.ts';
import type { SftpOptions } from './sftp/index.ts';

export interface SessionOptions {
  /** Undefined: the home of the agent's user. */
  readonly directory: string | undefined;
  /** SSH_CONNECTION and friends. */
  readonly facts: Readonly<Record<string, string>>;
  /** Path of a socket for the client's SSH agent. Rejects when it cannot be had. */
  readonly forwardAgent: () => Promise<string>;
  readonly serveSftp: (channel: ServerChannel, options: SftpOptions) => void;
  /** Registers what to do when the client takes no more output. */
  readonly onEndOfWrite: (channel: ServerChannel, listen: () => void) => void;
  readonly onStarted: (what: 'shell' | 'exec' | 'sftp') => void;
  /** The connection is over. */
  readonly signal: AbortSignal;
}

/** One session channel (RFC 4254, section 6): what it is to be is said in requests; then it runs one thing. */
export function serveSession(session: Session, options: SessionOptions): void {
  const variables = new Map<string, string>();
  let terminal: Terminal | undefined;
  let running: Running | undefined;
  let agentSocket: Promise<string> | undefined;
  let begun = false;

  session.on('env', (accept, reject, { key, val }) => {
    if (!mayBeSet(key) || variables.size >= AGENT_SSH_LIMITS.variables) return reject?.();
    if (val.length > AGENT_SSH_LIMITS.variableBytes) return reject?.();
    variables.set(key, val);
    accept?.();
  });
  session.on('pty', (accept, _reject, info) => {
    // Its types leave out the name of the terminal.
    const { term } = info as unknown as { term: string };
    terminal = { term, cols: info.cols, rows: info.rows, modes: info.modes as Terminal['modes'] };
    accept?.();
  });
  session.on('window-change', (accept, _reject, { cols, rows }) => {
    if (terminal !== undefined) terminal = { ...terminal, cols, rows };
    running?.resize(cols, rows);
    accept?.();
  });
  session.on('signal', (accept, _reject, { name }) => {
    running?.signal(name);
    accept?.();
  });
  session.on('auth-agent', (accept, reject) => {
    agentSocket ??= options.forwardAgent();
    agentSocket.then(
      () => accept?.(),
      () => reject?.(),
    );
  });
  session.on('x11', (_accept, reject) => reject?.());
  session.on('shell', (accept, reject) => begin(accept, reject, undefined));
  session.on('exec', (accept, reject, { command }) => begin(accept, reject, command));
  session.on('subsystem', (accept, reject, { name }) => {
    if (begun || name !== 'sftp') return reject?.();
    begun = true;
    options.onStarted('sftp');
    const channel = accept();
    mendOutput(channel);
    const { home } = findShell();
    // As commands do: `scp`, which speaks SFTP, and `rsync`, which runs one, mean the same by a name.
    void firstFolder(options.directory, home).then((start) =>
      options.serveSftp(channel, { start, home, signal: closed.signal }),
    );
  });
  const closed = new AbortController();
  session.on('close', () => {
    closed.abort();
    running?.end();
  });
  options.signal.addEventListener(
    'abort',
    () => {
      closed.abort();
      running?.end();
    },
    { once: true, signal: closed.signal },
  );

  function begin(
    accept: AcceptConnection<ServerChannel>,
    reject: RejectConnection,
    command: string | undefined,
  ): void {
    if (begun) return reject?.();
    begun = true;
    options.onStarted(command === undefined ? 'shell' : 'exec');
    const channel = accept();
    mendOutput(channel);
    void run(channel, command).catch((error: Error) => {
      channel.stderr.end(`burrow-agent: ${error.message}\n`);
      channel.exit(255);
      channel.end();
    });
  }

  async function run(channel: ServerChannel, command: string | undefined): Promise<void> {
    const shell = findShell();
    const socket = await agentSocket?.catch(() => undefined);
    const facts = {
      ...options.facts,
      ...(socket === undefined ? {} : { SSH_AUTH_SOCK: socket }),
    };
    const made = await runCommand({
      command:
        command === undefined
          ? { file: shell.file, args: [], argv0: shell.loginName }
          : { file: shell.file, args: ['-c', command] },
      env: sessionEnvironment(shell, facts, variables),
      cwd: await firstFolder(options.directory, shell.home),
      terminal,
      tell: (sentence) => void channel.stderr.write(`${sentence}\r\n`),
    });
    running = made;
    if (closed.signal.aborted) return made.end();
    if (terminal !== undefined) made.resize(terminal.cols, terminal.rows);
    options.onEndOfWrite(channel, () => {
      // As when the reader of a pipe goes: the command learns of it when it writes.
      if (terminal === undefined) made.stdout.destroy();
      else made.end();
    });
    await join(channel, made);
  }
}

/** As sshd does: the status once the command has ended and its output has; then the channel closes. */
async function join(channel: ServerChannel, running: Running): Promise<void> {
  const { stdin, stdout, stderr } = running;
  stdin.on('error', () => {});
  channel.pipe(stdin);
  stdout.pipe(channel, { end: false });
  stderr?.pipe(channel.stderr, { end: false });
  const [{ code, signal }] = await Promise.all([running.exited, over(stdout), over(stderr)]);
  // Closing the channel waits for one output only: all of the other goes out first.
  if (stderr !== undefined) await new Promise<void>((resolve) => channel.stderr.end(resolve));
  if (signal !== null) channel.exit(signal, false, '');
  else channel.exit(code ?? 255);
  channel.end();
}

function over(stream: NodeJS.ReadableStream | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stream === undefined) return resolve();
    stream
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
  });
}
