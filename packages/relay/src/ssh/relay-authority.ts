import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError, type HelloInfo } from '@burrow/tunnel';
import { mayOpen } from '../auth/may-open.ts';
import type { Aim, Attempts } from '../auth/shared-attempts.ts';
import type { Principal } from '../auth/principal.ts';
import type { WorkspaceDirectory, WorkspaceRoute } from '../control/directory.ts';
import type { Presence } from '../routing/router.ts';
import type { Destination, Origin, Proof, Refused, SshAuthority } from './authority.ts';
import type { SignIn, SignIns } from './sign-ins.ts';
import { placeOf } from './user-name.ts';

/** What the gateway needs of the other rooms. */
export interface AuthorityDeps {
  readonly now: () => number;
  readonly directory: WorkspaceDirectory;
  readonly presence: (agentId: string) => Presence | undefined;
  /** Resolves once a link of the agent is there; rejects with the signal's reason. */
  readonly waitFor: (agentId: string, signal: AbortSignal) => Promise<void>;
  readonly agentWaitMs: number;
  /** What the agent said of SSH when it last connected, to whatever relay; undefined: not known (yet). */
  readonly remembered: (agentId: string) => Promise<SshHello | undefined>;
  readonly keyOwner: (fingerprint: string) => Promise<Principal | undefined>;
  readonly keyUsed: (fingerprint: string) => void;
  readonly tokenOwner: (token: string) => Promise<Principal | undefined>;
  readonly keysOf: (userId: string) => Promise<readonly string[]>;
  readonly attempts: Pick<Attempts, 'take' | 'giveBack' | 'failed' | 'forgive' | 'remember'>;
  readonly approvals: {
    begin(origin: Origin): Promise<{ approval: string; url: string; userCode: string }>;
    /** Undefined: denied, or too late. */
    wait(approval: string): Promise<Principal | undefined>;
  };
  /** `who`: the person, for the log of sshd. */
  readonly certificate: (
    workspace: string,
    user: string,
    publicLine: string,
    who: string,
  ) => Promise<string>;
  readonly workspacesOf: (
    principal: Principal,
  ) => Promise<readonly { readonly name: string; readonly state: string }[]>;
  readonly audit: (event: SshEvent) => void;
}

/** What an agent says of the SSH server beside it. */
export type SshHello = Pick<HelloInfo, 'sshServer' | 'sshHostKey' | 'sshUser'>;

export interface SshEvent {
  readonly action:
    | 'ssh.sign-in'
    | 'ssh.sign-in-refused'
    | 'ssh.session-opened'
    | 'ssh.session-closed'
    | 'ssh.session-cut';
  readonly outcome: 'ok' | 'refused' | 'failed';
  readonly userId?: string;
  readonly username?: string;
  readonly workspace?: string;
  readonly address: string;
  readonly detail: string;
}

/** The main thread's answers to the gateway. */
export function relayAuthority(deps: AuthorityDeps, signIns: SignIns): SshAuthority {
  const approved = new Map<string, Principal>();

  function live(id: string): SignIn {
    const found = signIns.get(id);
    if (found === undefined) throw new Error('This sign-in has ended.');
    return found;
  }

  async function route(signIn: SignIn, name: string): Promise<WorkspaceRoute | undefined> {
    const found = await deps.directory.find(name);
    return found !== undefined && mayOpen(signIn.principal, found) ? found : undefined;
  }

  function notReached(signIn: SignIn, workspace: string, detail: string): void {
    deps.audit({
      ...factsOf(signIn),
      action: 'ssh.session-opened',
      outcome: 'failed',
      workspace,
      detail,
    });
  }

  return {
    knowsKey: async (fingerprint) => (await deps.keyOwner(fingerprint)) !== undefined,

    async signIn(proof, origin) {
      // A signature cannot be guessed, and an agent offers many keys: only secrets count.
      const counts = proof.kind === 'token';
      const aim = aimOf(origin);
      if (counts) {
        const wait = await deps.attempts.take(origin.address, aim);
        if (wait !== undefined) return { wait };
      }
      const principal = await ownerOf(deps, approved, proof);
      if (principal === undefined) {
        if (counts) await deps.attempts.failed(origin.address, aim);
        deps.audit({
          action: 'ssh.sign-in-refused',
          outcome: 'refused',
          workspace: origin.asked,
          address: origin.address,
          detail: `unknown ${proof.kind}, ${origin.software}`,
        });
        return undefined;
      }
      if (counts) deps.attempts.giveBack(origin.address, aim);
      // Asking for a link counted as a failure.
      if (proof.kind === 'approval') await deps.attempts.forgive(origin.address);
      await deps.attempts.remember(origin.address);
      if (proof.kind === 'key') deps.keyUsed(proof.fingerprint);
      if (proof.kind === 'approval') approved.delete(proof.approval);
      const signIn = signIns.add(principal, proof, origin);
      deps.audit({ ...factsOf(signIn), action: 'ssh.sign-in', outcome: 'ok', detail: by(proof) });
      return { id: signIn.id, userId: principal.userId, username: principal.username };
    },

    async beginApproval(origin) {
      // A link lets nobody in by itself: strangers elsewhere must not be able to use it up.
      if ((await deps.attempts.take(origin.address)) !== undefined) return undefined;
      await deps.attempts.failed(origin.address);
      return deps.approvals.begin(origin);
    },

    async awaitApproval(approval) {
      const principal = await deps.approvals.wait(approval);
      if (principal !== undefined) approved.set(approval, principal);
      return principal !== undefined;
    },

    async find(id, workspace) {
      const signIn = live(id);
      const found = await route(signIn, workspace);
      if (found === undefined) {
        const refused = `There is no workspace "${printable(workspace)}" that ${signIn.principal.username} may open. "ssh burrow@…" lists yours.`;
        deps.audit({
          ...factsOf(signIn),
          action: 'ssh.sign-in-refused',
          outcome: 'refused',
          detail: 'no such workspace, or not theirs',
        });
        return { refused };
      }
      const there = await destination(deps, found);
      if ('refused' in there) notReached(live(id), found.name, there.refused);
      return there;
    },

    keysOf: async (id) => deps.keysOf(live(id).principal.userId),

    async certificate(id, workspace, publicLine) {
      const signIn = live(id);
      const found = await route(signIn, workspace);
      const user = found && (await helloOf(deps, found.agentId))?.sshUser;
      if (user === undefined) throw new Error(`The agent of ${workspace} is gone.`);
      return deps.certificate(workspace, user, publicLine, signIn.principal.username);
    },

    workspacesOf: async (id) => deps.workspacesOf(live(id).principal),

    async note(id, what, workspace) {
      const signIn = live(id);
      if (what === 'opened') signIn.workspace = workspace;
      deps.audit({
        ...factsOf(signIn),
        action: 'ssh.session-opened',
        outcome: 'ok',
        workspace,
        detail: what === 'jumped' ? 'end to end, through a jump' : 'through the gateway',
      });
    },

    async failed(id, workspace, why) {
      notReached(live(id), workspace, why);
    },

    async turnedAway(origin, why) {
      deps.audit({
        action: 'ssh.sign-in-refused',
        outcome: 'refused',
        workspace: origin.asked,
        address: origin.address,
        detail: why,
      });
    },

    async ended(id) {
      const signIn = signIns.remove(id);
      if (signIn === undefined) return;
      deps.audit({
        ...factsOf(signIn),
        action: 'ssh.session-closed',
        outcome: 'ok',
        detail: `after ${Math.round((deps.now() - signIn.since) / 1000)} s`,
      });
    },
  };
}

/** Between two looks at what another relay is about to write down, ms. */
const LOOK_MS = 200;

/** The agent is connected, here or to another relay; that one writes what it said within a second or two. */
async function helloOf(
  deps: AuthorityDeps,
  agentId: string,
  signal?: AbortSignal,
): Promise<SshHello | undefined> {
  for (;;) {
    const hello = deps.presence(agentId)?.hello ?? (await deps.remembered(agentId));
    if (hello !== undefined || signal === undefined || signal.aborted) return hello;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
}

async function destination(
  deps: AuthorityDeps,
  found: WorkspaceRoute,
): Promise<Destination | Refused> {
  if (found.state === 'stopped' || found.state === 'failed') {
    return {
      refused: `The workspace ${found.name} is ${found.state}. Start it, then connect again.`,
    };
  }
  const bound = AbortSignal.timeout(deps.agentWaitMs);
  const here = deps.presence(found.agentId) !== undefined;
  const gone = await (here ? Promise.resolve() : deps.waitFor(found.agentId, bound)).then(
    () => undefined,
    (error: Error) => error,
  );
  if (gone instanceof TunnelError && gone.code === 'unavailable') return { refused: gone.message };
  const hello = gone === undefined ? await helloOf(deps, found.agentId, bound) : undefined;
  if (hello === undefined) {
    const since = found.agentLastSeen;
    const seen =
      since === undefined
        ? 'has never connected: start it where the workload is'
        : `was last seen ${new Date(since).toISOString()}`;
    return { refused: `The agent of ${found.name} is not connected; it ${seen}.` };
  }
  if (hello.sshServer === 'none' || hello.sshHostKey === '') {
    return {
      refused: `The agent of ${found.name} offers no SSH (BURROW_AGENT_SSH=off, or an agent older than 0.2).`,
    };
  }
  return {
    workspaceId: found.id,
    workspace: found.name,
    server: hello.sshServer,
    user: hello.sshUser,
    hostKey: hello.sshHostKey,
  };
}

/** Who the proof belongs to now. Also asked again while the connection lives. */
export async function ownerOf(
  deps: Pick<AuthorityDeps, 'keyOwner' | 'tokenOwner'>,
  approved: ReadonlyMap<string, Principal>,
  proof: Proof,
): Promise<Principal | undefined> {
  if (proof.kind === 'key') return deps.keyOwner(proof.fingerprint);
  if (proof.kind === 'token') return deps.tokenOwner(proof.token);
  return approved.get(proof.approval);
}

function factsOf(
  signIn: SignIn,
): Pick<SshEvent, 'userId' | 'username' | 'address'> & { workspace?: string } {
  return {
    userId: signIn.principal.userId,
    username: signIn.principal.username,
    workspace: signIn.workspace ?? signIn.origin.asked,
    address: signIn.origin.address,
  };
}

/** The workspace asked for, whether there is one or not. Undefined: the relay itself. */
function aimOf(origin: Origin): Aim | undefined {
  const place = placeOf(origin.asked);
  if (place?.kind === 'home') return undefined;
  return `workspace:${place?.name ?? origin.asked}`;
}

function by(proof: Proof): string {
  return proof.kind === 'key' ? `key ${proof.fingerprint}` : proof.kind;
}

/** What a stranger typed, in a sentence on their own terminal. */
function printable(text: string): string {
  return text.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, '?');
}
