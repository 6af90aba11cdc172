import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { TunnelError } from '@burrow/tunnel';
import { WebSocketServer, type WebSocket } from 'ws';
import { bearerToken } from '../auth/bearer.ts';
import type { Principal } from '../auth/principal.ts';
import type { UpgradeHandler } from '../links/websocket-endpoint.ts';
import type { AccessWatch } from './access-watch.ts';
import { closeOf } from './close-codes.ts';
import type { ClientAudit, ClientsLog, ClientsObserver } from './contracts.ts';
import type { ClientLimits } from './limits.ts';
import type { People } from './people.ts';
import type { Reach } from './reach.ts';
import { accessGone, relayStops, tokenGone } from './sentences.ts';
import { WebSocketChannel } from './websocket-channel.ts';

/** Offered or not: programs that turn a WebSocket into standard input and output know no subprotocols. */
const SUBPROTOCOL = 'burrow.ssh';
const PATH = /^\/api\/v1\/workspaces\/([^/?#]{1,63})\/ssh(?:\?([^#]{0,1024}))?$/;
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;

export interface WebSocketSshDeps {
  readonly reach: Reach;
  readonly people: People;
  readonly watch: AccessWatch;
  readonly limits: ClientLimits;
  readonly log: ClientsLog;
  readonly audit: ClientAudit | undefined;
  readonly observer: ClientsObserver | undefined;
  readonly addressOf: (request: IncomingMessage) => string;
  /** Rejects with TunnelError. */
  readonly person: (token: string | undefined) => Promise<Principal>;
  readonly verify: (token: string) => Principal | undefined | Promise<Principal | undefined>;
  /** A place among those being admitted. Throws TunnelError. */
  readonly enter: () => () => void;
}

export interface WebSocketSsh {
  readonly handle: UpgradeHandler;
  stop(): void;
  readonly size: number;
}

/**
 * Raw SSH in binary WebSocket messages. Signed in by `Authorization: Bearer` alone, which
 * pages of other sites cannot send: so no Origin needs to be looked at. Refusals come as
 * close codes: programs show their sentence, and not the body of an HTTP answer.
 */
export function webSocketSsh(deps: WebSocketSshDeps): WebSocketSsh {
  const { log, limits } = deps;
  const open = new Set<WebSocketChannel>();
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.messageBytes,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });

  async function serve(socket: WebSocket, request: IncomingMessage, url: string): Promise<void> {
    const channel = new WebSocketChannel(socket, limits);
    const token =
      bearerToken(header(request, 'burrow-authorization') ?? request.headers.authorization) ?? '';
    const remoteAddress = deps.addressOf(request);
    let leave: (() => void) | undefined;
    let name = '';
    let person: Principal | undefined;
    try {
      const entered = deps.enter();
      leave = entered;
      person = await deps.person(token === '' ? undefined : token).finally(entered);
      leave = deps.people.enter(person.userId);
      const asked = readUrl(url);
      name = asked.name;
      await begin(channel, asked, person, { token, remoteAddress, leave });
    } catch (error) {
      leave?.();
      const refusal =
        error instanceof TunnelError
          ? error
          : new TunnelError('internal', 'The relay cannot open this now; try again shortly.');
      if (refusal !== error) log.error({ error: (error as Error).message }, 'cannot open SSH');
      const { code, message: reason } = refusal;
      deps.observer?.linkRefused(code);
      log.info(
        { workspace: name, user: person?.username, code, reason, remoteAddress },
        'SSH over a WebSocket refused',
      );
      if (person !== undefined && !channel.closed) {
        deps.audit?.record({
          action: 'ssh.session-opened',
          outcome: code === 'not-allowed' || code === 'limit' ? 'refused' : 'failed',
          userId: person.userId,
          username: person.username,
          workspace: name,
          address: remoteAddress,
          detail: reason,
        });
      }
      channel.close(...closeOf(refusal));
    }
  }

  async function begin(
    channel: WebSocketChannel,
    asked: { name: string; keys: readonly string[] },
    person: Principal,
    from: { token: string; remoteAddress: string; leave: () => void },
  ): Promise<void> {
    const { reach, people, watch } = deps;
    const route = await reach.workspace(asked.name, person);
    const authorizedKeys = await reach.keys(person, asked.keys);
    const link = await reach.link(route, channel.gone, () => people.wait(person.userId));
    if (channel.closed) return from.leave();
    const { userId, username } = person;
    const uid = channel.join(link, {
      target: { kind: 'ssh', authorizedKeys },
      principal: { userId, username },
      metadata: { 'client-address': from.remoteAddress },
    });
    const facts = { channel: uid, workspace: route.name, user: username };
    const note = (
      action: 'ssh.session-opened' | 'ssh.session-closed' | 'ssh.session-cut',
      detail: string,
    ): void =>
      deps.audit?.record({
        ...{ action, outcome: 'ok', userId, username, channel: uid, detail },
        workspace: route.name,
        address: from.remoteAddress,
      });
    let cut: TunnelError | undefined;
    const end = (error: TunnelError): void => {
      cut = error;
      log.info({ ...facts, reason: error.message }, 'access was taken away, SSH is cut');
      channel.cut(error);
    };
    const held = {
      async look(): Promise<void> {
        const now = await deps.verify(from.token);
        if (now === undefined) end(tokenGone());
        else if (!(await reach.stillLeadsTo(route, now))) end(accessGone(route.name));
      },
    };
    open.add(channel);
    watch.add(held);
    deps.observer?.linkOpened('plain');
    deps.observer?.channelOpened();
    log.info({ ...facts, remoteAddress: from.remoteAddress }, 'SSH over a WebSocket opened');
    note('ssh.session-opened', 'end to end, over a WebSocket');
    const opened = performance.now();
    channel.onEnd = () => {
      open.delete(channel);
      watch.remove(held);
      deps.observer?.linkClosed(cut?.code ?? 'cancelled');
      from.leave();
      const seconds = Math.round((performance.now() - opened) / 1000);
      log.info({ ...facts, seconds }, 'SSH over a WebSocket closed');
      note(
        cut === undefined ? 'ssh.session-closed' : 'ssh.session-cut',
        cut?.message ?? `after ${seconds} s`,
      );
    };
  }

  return {
    handle(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
      const url = request.url ?? '';
      if (!PATH.test(url)) return false;
      socket.on('error', () => {});
      server.handleUpgrade(request, socket, head, (upgraded) => {
        void serve(upgraded, request, url);
      });
      return true;
    },
    stop() {
      for (const channel of open) channel.cut(relayStops());
    },
    get size() {
      return open.size;
    },
  };
}

/** Throws TunnelError `protocol-error` for what is no key. */
function readUrl(url: string): { name: string; keys: string[] } {
  const [, path = '', query = ''] = PATH.exec(url) ?? [];
  // As in any URL: a plus sign in base64 is one, not a blank.
  const keys = new URLSearchParams(query.replaceAll('+', '%2B')).getAll('key');
  if (keys.some((key) => !FINGERPRINT.test(key))) {
    throw new TunnelError(
      'protocol-error',
      'A key is named by its fingerprint, as `ssh-keygen -l` prints it: key=SHA256:…',
    );
  }
  return { name: path, keys };
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
