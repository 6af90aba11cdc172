import { disconnect, mendOutput, OPEN_FAILURE, refuseChannel } from '@burrow/ssh';
import type { Connection, ServerChannel } from 'ssh2';
import type { Link } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import type { SignedIn, SshAuthority } from './authority.ts';
import { SSH_LIMITS } from './limits.ts';
import { lostSentence } from './lost-sentence.ts';
import { SENTENCES } from './sentences.ts';
import { workspaceOf } from './user-name.ts';
import { openSsh } from './workload-connection.ts';

/** The port that OpenSSH says `ssh -W` and `-J` come from, which have none; `-L` names a real one. */
const STANDARD_STREAMS = 65_535;

export interface HomeDeps {
  readonly authority: SshAuthority;
  readonly link: () => Link;
}

/**
 * `burrow@relay`: no workload behind it. A shell shows who you are and what
 * you may open; `ssh -J burrow@relay <workspace>` passes raw bytes to that
 * workspace's SSH server, which the relay cannot read.
 */
export function serveHome(connection: Connection, person: SignedIn, deps: HomeDeps): void {
  connection.on('session', (accept, reject) => {
    const session = accept();
    if (session === undefined) return reject();
    session.on('pty', (ok) => ok?.());
    session.on('env', (ok) => ok?.());
    session.on('window-change', (ok) => ok?.());
    session.on('shell', (ok) => {
      const channel = ok();
      mendOutput(channel);
      void greet(channel, person, deps);
    });
    session.on('exec', (ok) => {
      const channel = ok();
      mendOutput(channel);
      channel.stderr.write(`${SENTENCES.onlyJumps}\r\n`);
      channel.exit(1);
      channel.end();
    });
    session.on('subsystem', (_ok, no) => no?.());
  });
  let open = 0;
  connection.on('tcpip', (accept, reject, info) => {
    const workspace = workspaceOf(info.destIP);
    if (workspace === undefined || info.destPort !== 22 || open >= SSH_LIMITS.jumps) {
      return reject();
    }
    open += 1;
    void jump(person, workspace, deps).then(
      (inner) => {
        const outer = accept();
        inner.pipe(outer).pipe(inner);
        const end = (): void => {
          inner.destroy();
          outer.destroy();
        };
        inner.on('error', (error) => {
          // Of a jump this connection is all that there is: so it can end with a sentence, as the channel cannot.
          const alone = open === 1 && info.srcPort === STANDARD_STREAMS;
          if (alone) disconnect(connection, lostSentence(workspace, error));
          end();
        });
        inner.on('close', () => {
          open -= 1;
          end();
        });
        outer.on('error', end).on('close', end);
      },
      (error: Error) => {
        open -= 1;
        refuseChannel(connection, reject, OPEN_FAILURE.CONNECT_FAILED, error.message);
      },
    );
  });
}

async function jump(
  person: SignedIn,
  workspace: string,
  { authority, link }: HomeDeps,
): Promise<ReturnType<typeof channelToDuplex>> {
  const found = await authority.find(person.id, workspace);
  if ('refused' in found) throw new Error(found.refused);
  const keys = await authority.keysOf(person.id);
  await authority.note(person.id, 'jumped', workspace);
  return channelToDuplex(openSsh(link(), workspace, person, keys));
}

async function greet(
  channel: ServerChannel,
  person: SignedIn,
  { authority }: HomeDeps,
): Promise<void> {
  try {
    const workspaces = await authority.workspacesOf(person.id);
    const width = Math.max(...workspaces.map(({ name }) => name.length), 0);
    const lines = [
      `Hello ${person.username}. You are signed in at the relay; it has no shell of its own.`,
      '',
      ...(workspaces.length === 0
        ? ['You have no workspaces yet.']
        : [
            'Your workspaces:',
            ...workspaces.map(({ name, state }) => `  ${name.padEnd(width)}  ${state}`),
            '',
            'Open one with ssh <workspace>@…, or end to end with ssh -J burrow@… <workspace>.',
          ]),
    ];
    channel.write(`${lines.join('\r\n')}\r\n`);
    channel.exit(0);
  } catch (error) {
    channel.stderr.write(`${(error as Error).message}\r\n`);
    channel.exit(1);
  }
  channel.end();
}
