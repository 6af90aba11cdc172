import type { MessagePort } from 'node:worker_threads';
import {
  TunnelError,
  type AcceptOptions,
  type Channel,
  type Link,
  type LinkHandler,
} from '@burrow/tunnel';
import { acceptPort } from '@burrow/tunnel/message-port';
import type { Principal } from '../auth/principal.ts';
import type { Incoming } from '../links/admission.ts';
import { AccessWatch, type Held } from './access-watch.ts';
import { ClientChannels, type Opener } from './channels.ts';
import type { Clients, ClientsOptions } from './contracts.ts';
import { CLIENT_LIMITS } from './limits.ts';
import { People } from './people.ts';
import { personOf } from './person-of.ts';
import { Reach } from './reach.ts';
import { relayStops, tokenGone } from './sentences.ts';
import { webSocketSsh } from './websocket-ssh.ts';

/** How often a drain looks whether all have left. ms */
const DRAIN_LOOK_MS = 50;

interface OpenLink extends Held {
  readonly link: Link;
  readonly channels: ClientChannels;
  readonly of: 'client' | 'ssh-gateway';
}

/** The room of people's programs: who they are, what they may open, and until when. */
export function createClients(options: ClientsOptions): Clients {
  const { tokens, settings, log, audit, observer } = options;
  const limits = { ...CLIENT_LIMITS, ...options.limits };
  const reach = new Reach({ ...options, limits, waitForAgentMs: settings.waitForAgentMs });
  const people = new People(limits);
  const watch = new AccessWatch(limits.watchMs);
  const open = new Set<OpenLink>();
  let pending = 0;
  let draining = false;

  const webSockets = webSocketSsh({
    reach,
    people,
    watch,
    limits,
    log,
    audit,
    observer,
    addressOf: options.addressOf ?? (() => ''),
    person: (token) => personOf(token, tokens, settings.authenticateWithinMs),
    verify: (token) => tokens.verify(token),
    enter,
  });

  /** A place among those that are being admitted. Throws TunnelError; returns what gives it back. */
  function enter(): () => void {
    if (draining) throw relayStops();
    if (pending >= settings.maxPendingLinks) {
      throw new TunnelError(
        'unavailable',
        'Too many clients are connecting to this relay at once; try again shortly.',
      );
    }
    pending += 1;
    let left = false;
    return () => {
      if (!left) pending -= 1;
      left = true;
    };
  }

  async function admit(incoming: Incoming): Promise<TunnelError | undefined> {
    let leave: (() => void) | undefined;
    try {
      leave = enter();
      if (incoming.plaintextHost !== undefined && !settings.allowPlaintext) {
        throw new TunnelError(
          'unavailable',
          `This relay takes nobody without TLS under the name ${incoming.plaintextHost}, since anyone on the way could read your token. Use https.`,
        );
      }
      const person = await personOf(incoming.token, tokens, settings.authenticateWithinMs);
      await accept(incoming, person);
      return undefined;
    } catch (error) {
      const known = error instanceof TunnelError;
      const refusal = known
        ? error
        : new TunnelError(
            'unavailable',
            'The relay cannot check your token right now; try again shortly.',
          );
      const { transport, remoteAddress } = incoming;
      if (!known) log.error({ error: (error as Error).message }, 'cannot admit a client');
      observer?.linkRefused(refusal.code);
      log.info(
        { code: refusal.code, reason: refusal.message, transport, remoteAddress },
        'client refused',
      );
      return refusal;
    } finally {
      leave?.();
    }
  }

  async function accept(incoming: Incoming, person: Principal): Promise<void> {
    const { transport, remoteAddress, token = '' } = incoming;
    const leave = people.enter(person.userId);
    const channels = new ClientChannels(
      { reach, people, limits, log, audit, observer, resumes: settings.resumeMs > 0 },
      { person, remoteAddress },
    );
    /** What the handler learns: it is made before the link. */
    const known: { entry?: OpenLink; closed?: boolean } = {};
    const accepted = await incoming
      .accept({
        helloTimeoutMs: settings.helloTimeoutMs,
        maxOpensPerSecond: limits.opensPerSecond,
        welcome: () => {
          if (draining) throw relayStops();
          return welcome();
        },
        handler: handler(channels, (error) => {
          known.closed = true;
          leave();
          const { entry } = known;
          if (entry === undefined) return;
          open.delete(entry);
          watch.remove(entry);
          observer?.linkClosed(error.code);
          log.info(
            { user: person.username, link: entry.link.id, code: error.code, reason: error.message },
            'client link closed',
          );
        }),
      })
      .catch((error: unknown) => {
        leave();
        throw error;
      });
    if (accepted === undefined || known.closed === true) return leave();
    const { link, hello } = accepted;
    const entry: OpenLink = {
      of: 'client',
      link,
      channels,
      async look() {
        const now = await tokens.verify(token);
        if (now === undefined) link.close(tokenGone());
        else await channels.look(now);
      },
    };
    known.entry = entry;
    open.add(entry);
    watch.add(entry);
    observer?.linkOpened(transport);
    log.info(
      {
        ...{ user: person.username, link: link.id, transport, remoteAddress },
        software: hello.software,
      },
      'client link opened',
    );
    if (draining) link.close(relayStops());
  }

  function handler(channels: ClientChannels, onClose: (error: TunnelError) => void): LinkHandler {
    return {
      onChannel: (channel: Channel) => void channels.onChannel(channel),
      onResume: (resume) => void channels.onResume(resume),
      onClose: (error) => {
        channels.end();
        onClose(error);
      },
    };
  }

  function welcome(): Awaited<ReturnType<AcceptOptions['welcome']>> {
    return {
      ...options.relay,
      clusterSize: options.clusterSize?.() ?? 1,
      pingAfterMs: settings.pingAfterMs,
      pongWithinMs: settings.pongWithinMs,
      maxChannels: limits.channelsPerLink,
      workload: '',
      minLinks: 1,
      maxLinks: 1,
    };
  }

  async function acceptInternal(port: MessagePort): Promise<void> {
    const opener: Opener = { person: undefined, remoteAddress: undefined };
    const channels = new ClientChannels(
      { reach, people, limits, log, audit, observer, resumes: settings.resumeMs > 0 },
      opener,
    );
    const known: { entry?: OpenLink; closed?: boolean } = {};
    const accepted = await acceptPort(port, {
      welcome,
      handler: handler(channels, () => {
        known.closed = true;
        if (known.entry !== undefined) open.delete(known.entry);
      }),
    });
    if (accepted === undefined || known.closed === true) return;
    // What its people may do is watched where they were authorized.
    known.entry = { of: 'ssh-gateway', link: accepted.link, channels, look() {} };
    open.add(known.entry);
    if (draining) accepted.link.close(relayStops());
  }

  const channelCount = (): number => {
    let count = webSockets.size;
    for (const { channels } of open) count += channels.size;
    return count;
  };

  return {
    admit,
    admitInternal: (port) => void acceptInternal(port),
    handleUpgrade: webSockets.handle,
    async drain(graceMs) {
      draining = true;
      for (const { link } of open) link.drain(graceMs, 'The relay shuts down.');
      const until = performance.now() + graceMs;
      while (channelCount() > 0 && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
      }
    },
    stop() {
      draining = true;
      watch.stop();
      webSockets.stop();
      for (const { link } of open) link.close(relayStops());
    },
    get links() {
      return open.size;
    },
    get channels() {
      return channelCount();
    },
    *ends() {
      for (const each of open) yield [each.link, each.of];
    },
  };
}
