import {
  joinChannel,
  resumeChannel,
  TunnelError,
  type Channel,
  type ChannelErrorCode,
  type IncomingResume,
  type JoinEvents,
  type Joined,
  type Link,
  type Target,
} from '@burrow/tunnel';
import { isRefusal } from '../routing/is-refusal.ts';
import type { Principal } from '../auth/principal.ts';
import type { WorkspaceRoute } from '../control/directory.ts';
import type { ClientAudit, ClientAuditAction, ClientsLog, ClientsObserver } from './contracts.ts';
import type { ClientLimits } from './limits.ts';
import type { People } from './people.ts';
import { PortNotes } from './port-notes.ts';
import type { Reach } from './reach.ts';
import { accessGone } from './sentences.ts';

/** On whose behalf the channels of one link are opened. */
export interface Opener {
  /** Undefined: our own code opened the link; each channel names its person, who was authorized before. */
  readonly person: Principal | undefined;
  /** Of the client; undefined for our own code, which passes on what it knows. */
  readonly remoteAddress: string | undefined;
}

export interface ChannelsDeps {
  readonly reach: Reach;
  readonly people: People;
  readonly limits: Pick<ClientLimits, 'channelsPerLink'>;
  readonly log: ClientsLog;
  readonly audit: ClientAudit | undefined;
  readonly observer: Pick<ClientsObserver, 'channelOpened'> | undefined;
  /** Channels that broke may go on. */
  readonly resumes: boolean;
}

type Person = Pick<Principal, 'userId' | 'username'>;

interface OpenChannel {
  readonly route: WorkspaceRoute;
  readonly joined: Joined;
  cut(error: TunnelError): void;
}

/** How often a channel is tried on another link when one just ended. */
const TRIES = 3;

/** The channels that one link's peer opened, each joined with one to an agent. */
export class ClientChannels {
  readonly #deps: ChannelsDeps;
  readonly #opener: Opener;
  readonly #open = new Set<OpenChannel>();
  readonly #gone = new AbortController();
  readonly #portNotes = new PortNotes();

  constructor(deps: ChannelsDeps, opener: Opener) {
    this.#deps = deps;
    this.#opener = opener;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Never rejects. */
  async onChannel(channel: Channel): Promise<void> {
    try {
      await this.#serve(channel);
    } catch (error) {
      this.#refuse(channel, error);
    }
  }

  /** A channel of this client lost its way, here or on a relay that is no more. Never rejects. */
  async onResume(resume: IncomingResume): Promise<void> {
    try {
      await this.#goOn(resume);
    } catch (error) {
      if (resume.closed) return;
      const refusal = asRefusal(error);
      this.#deps.log.info(
        {
          channel: resume.uid,
          workspace: resume.workload,
          code: refusal.code,
          reason: refusal.message,
        },
        'channel not resumed',
      );
      resume.refuse(channelCode(refusal), refusal.message);
    }
  }

  /** Cuts the channels that `person` may open no longer. */
  async look(person: Principal): Promise<void> {
    for (const open of this.#open) {
      if (await this.#deps.reach.stillLeadsTo(open.route, person)) continue;
      open.cut(accessGone(open.route.name));
    }
  }

  /** The link has ended, and its channels with it: nobody waits any more. */
  end(): void {
    this.#gone.abort(new TunnelError('cancelled', 'The client is gone.'));
  }

  async #serve(channel: Channel): Promise<void> {
    const { reach, people, limits } = this.#deps;
    const { person } = this.#opener;
    if (person !== undefined && channel.link.stats.channels > limits.channelsPerLink) {
      throw new TunnelError(
        'limit',
        `This connection carries ${limits.channelsPerLink} channels already.`,
      );
    }
    if (channel.target.kind !== 'ssh' && channel.target.kind !== 'tcp') {
      throw new TunnelError('not-allowed', 'Clients reach SSH and TCP ports, nothing else.');
    }
    if (channel.workload === '') {
      throw new TunnelError('protocol-error', 'The channel does not name a workspace.');
    }
    const principal = person ?? channel.principal;
    const route = await reach.workspace(channel.workload, person);
    const target = await this.#target(channel.target, principal.userId);
    const { userId, username } = principal;
    for (let attempt = 1; ; attempt++) {
      const link = await reach.link(route, this.#gone.signal, () => people.wait(userId));
      // Its opener took it back meanwhile.
      if (channel.closed) return;
      try {
        this.#join(channel, link, route, { target, principal: { userId, username } });
        return;
      } catch (error) {
        if (attempt === TRIES || !isGone(error)) throw error;
      }
    }
  }

  async #target(target: Target, userId: string): Promise<Target> {
    if (target.kind !== 'ssh') return target;
    const { person } = this.#opener;
    // Our own gateway names exactly the keys it wants.
    if (person === undefined) return target;
    return {
      kind: 'ssh',
      authorizedKeys: await this.#deps.reach.keys({ userId }, target.authorizedKeys),
    };
  }

  async #goOn(resume: IncomingResume): Promise<void> {
    const { reach, people } = this.#deps;
    const { person } = this.#opener;
    if (!this.#deps.resumes) {
      throw new TunnelError('unknown-channel', 'This relay does not keep connections that broke.');
    }
    if (resume.workload === '') {
      throw new TunnelError('protocol-error', 'The channel does not name a workspace.');
    }
    const { userId, username } = person ?? resume.principal;
    const principal = { userId, username };
    // What was allowed once may not be any more.
    const route = await reach.workspace(resume.workload, person);
    const link = await reach.link(route, this.#gone.signal, () => people.wait(userId));
    if (resume.closed) return;
    this.#watch(resume.uid, route, link, principal, undefined, (events) =>
      resumeChannel(resume, link, { principal, workload: route.agentId }, events),
    );
    this.#deps.log.info(
      { channel: resume.uid, workspace: route.name, user: username, link: link.id },
      'channel goes on over another link',
    );
  }

  #join(
    channel: Channel,
    link: Link,
    route: WorkspaceRoute,
    to: { target: Target; principal: Person },
  ): void {
    const metadata =
      this.#opener.remoteAddress === undefined
        ? channel.metadata
        : { 'client-address': this.#opener.remoteAddress };
    const { agentId } = route;
    this.#watch(channel.uid, route, link, to.principal, to.target, (events) =>
      joinChannel(channel, link, { ...to, metadata, workload: agentId }, events),
    );
    const facts = { channel: channel.uid, workspace: route.name };
    this.#deps.observer?.channelOpened();
    this.#deps.log.debug({ ...facts, link: link.id }, 'channel joined');
    this.#note('ssh.session-opened', 'ok', facts, to.principal, to.target, 'end to end');
  }

  /** Keeps a channel among those that can be cut, until it ends. `target` undefined: it was resumed. */
  #watch(
    uid: string,
    route: WorkspaceRoute,
    link: Link,
    principal: Person,
    target: Target | undefined,
    join: (events: JoinEvents) => Joined,
  ): void {
    const { log, reach } = this.#deps;
    const facts = {
      channel: uid,
      workspace: route.name,
      user: principal.username,
      to: target === undefined ? 'as before' : nameOf(target),
    };
    const opened = performance.now();
    const over = (error: TunnelError | undefined, cut: boolean): void => {
      this.#open.delete(open);
      const seconds = Math.round((performance.now() - opened) / 1000);
      log.debug({ ...facts, seconds, code: error?.code, reason: error?.message }, 'channel closed');
      const why = error === undefined ? '' : `: ${error.message}`;
      this.#note(
        cut ? 'ssh.session-cut' : 'ssh.session-closed',
        error === undefined || cut ? 'ok' : 'failed',
        facts,
        principal,
        target,
        cut ? (error?.message ?? '') : `after ${seconds} s${why}`,
      );
    };
    let looking = false;
    const joined = join({
      onEnd: (error) => {
        // Another relay was asked that did not have the agent (any more).
        const absent =
          error?.code === 'draining' || (target === undefined && error?.code === 'agent-gone');
        if (absent && isRefusal(error)) reach.failed(route, link, error);
        over(error, false);
      },
      onDraining: () => {
        // Its opener is told only once there is somewhere to go.
        reach.another(route, this.#gone.signal).then(
          () => joined.detach('The link drains, and another is there.'),
          () => {},
        );
      },
      onSilent: () => {
        if (looking) return;
        looking = true;
        const still = (): boolean => !joined.closed && link.stats.silent;
        reach
          .around(route, still, this.#gone.signal)
          .then((found) => {
            looking = false;
            if (found) joined.detach('The link does not answer, and another does.');
          })
          .catch(() => {});
      },
    });
    const open: OpenChannel = {
      route,
      joined,
      cut: (error) => {
        if (joined.closed) return;
        joined.reset('revoked', error.message);
        log.info({ ...facts, reason: error.message }, 'access was taken away, a channel is cut');
        over(error, true);
      },
    };
    this.#open.add(open);
  }

  #refuse(channel: Channel, error: unknown): void {
    // Its opener took it back, or is gone.
    if (channel.closed) return;
    const { log } = this.#deps;
    const known = error instanceof TunnelError;
    const refusal = asRefusal(error);
    const principal = this.#opener.person ?? channel.principal;
    const facts = {
      channel: channel.uid,
      workspace: channel.workload,
      user: principal.username,
      to: nameOf(channel.target),
    };
    if (!known) log.error({ ...facts, error: (error as Error).message }, 'cannot open a channel');
    log.info({ ...facts, code: refusal.code, reason: refusal.message }, 'channel refused');
    this.#note(
      'ssh.session-opened',
      refusal.code === 'not-allowed' || refusal.code === 'limit' ? 'refused' : 'failed',
      facts,
      principal,
      channel.target,
      refusal.message,
    );
    channel.reset(channelCode(refusal), refusal.message);
  }

  #note(
    action: 'ssh.session-opened' | 'ssh.session-closed' | 'ssh.session-cut',
    outcome: 'ok' | 'refused' | 'failed',
    facts: { channel: string; workspace: string },
    principal: Person,
    target: Target | undefined,
    detail: string,
  ): void {
    // The gateway writes down what its people do.
    if (target === undefined || this.#opener.person === undefined) return;
    const { channel, workspace } = facts;
    let written: ClientAuditAction = action;
    let why = detail;
    if (target.kind === 'tcp') {
      if (action === 'ssh.session-closed') return;
      written = action === 'ssh.session-cut' ? 'port.cut' : 'port.forwarded';
      if (!this.#portNotes.news(workspace, target.port, `${written} ${outcome}`)) return;
      why = outcome === 'ok' && written === 'port.forwarded' ? '' : `: ${detail}`;
      why = `port ${target.port}${why}`;
    } else if (target.kind !== 'ssh') return;
    this.#deps.audit?.record({
      ...{ action: written, outcome, workspace, channel, detail: why },
      userId: principal.userId,
      username: principal.username,
      address: this.#opener.remoteAddress,
    });
  }
}

function nameOf(target: Target): string {
  return target.kind === 'tcp' ? `port ${target.port}` : target.kind;
}

function asRefusal(error: unknown): TunnelError {
  if (error instanceof TunnelError) return error;
  return new TunnelError('internal', 'The relay cannot open this now; try again shortly.', {
    cause: error,
  });
}

function isGone(error: unknown): boolean {
  return error instanceof TunnelError && (error.code === 'draining' || error.code === 'link-lost');
}

/** What a link's own end is called on a channel. */
function channelCode(error: TunnelError): ChannelErrorCode {
  const codes: Partial<Record<TunnelError['code'], ChannelErrorCode>> = {
    'link-lost': 'agent-gone',
    'link-silent': 'agent-gone',
    unavailable: 'agent-gone',
  };
  return codes[error.code] ?? (error.code as ChannelErrorCode);
}
