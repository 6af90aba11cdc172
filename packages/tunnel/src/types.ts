import type { TunnelError, ChannelErrorCode } from './errors.ts';
import type { ChannelKeeper } from './link/keeper.ts';

/** What the agent connects a channel to. Ports are 1 to 65535. */
export type Target =
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'ssh';
      /** `SHA256:…` fingerprints of the keys that the agent's own server admits, at most 64. */
      readonly authorizedKeys: readonly string[];
    }
  | { readonly kind: 'terminal'; readonly session: string };

/** On whose behalf a channel is opened. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
}

/**
 * `interactive`: a person waits for each byte. `bulk`: throughput matters.
 * `auto`: interactive until it has moved a lot at once.
 */
export type Traffic = 'auto' | 'interactive' | 'bulk';

export interface OpenOptions {
  readonly target: Target;
  readonly principal: Principal;
  readonly traffic?: Traffic;
  /** At most 16 entries and 4 KiB in all. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** On a client's link: the name of the workload to open the target in. Between relays: the agent's id. */
  readonly workload?: string;
  /** The channel outlives its link if the other side can do that too. */
  readonly resumer?: Resumer;
}

/** A channel as seen by who looks for a link for it. */
export interface Resumable {
  readonly uid: string;
  readonly target: Target;
  readonly principal: Principal;
  readonly workload: string;
  readonly traffic: Traffic;
  /** The present one, or the last. */
  readonly link: Link;
  /** It has no link, or waits for the answer to Resume. */
  readonly detached: boolean;
  /** Gives it up: its user hears `onClose(error)`. Idempotent. */
  fail(error: TunnelError): void;
}

/**
 * What becomes of channels whose link ended for a reason of its own. With one, a
 * channel keeps what it has sent until that is acknowledged.
 */
export interface Resumer {
  /**
   * The channel has no link: find one and call `link.resume(channel)`, or in the
   * end `channel.fail`. Called again when an attempt failed.
   */
  onDetached(channel: Resumable, reason: TunnelError): void;
  /** Its link is asked to end, and still carries it: move the channel once another link is there. */
  onDraining?(channel: Resumable): void;
  /**
   * Its link does not answer, and may be dead or not: move the channel if a link that answers is there, else leave
   * it where it is. Said again, twice a second, while that is so.
   */
  onSilent?(channel: Resumable): void;
  /** It goes on. */
  onAttached?(channel: Resumable): void;
  /** It is over, in order or (`why`) not: forget it. Exactly once. */
  onOver?(channel: Resumable, why?: Pick<TunnelError, 'code' | 'message'>): void;
}

/** The other side asks to go on with a channel that this side does not hold: a relay passes it on. */
export interface IncomingResume {
  readonly uid: string;
  readonly principal: Principal;
  readonly workload: string;
  readonly link: Link;
  /** Its opener took it back, or its link is gone. */
  readonly closed: boolean;
  /** `agent-gone`, `draining`, `limit`: not this way; all else ends the channel. */
  refuse(code: ChannelErrorCode, reason: string): void;
}

/**
 * The user of a channel. All calls are synchronous and come from the event
 * loop, never from inside a call the user makes on the channel.
 */
export interface ChannelHandler {
  /** The target is connected. Only on the opener's side, at most once. */
  onOpened?(): void;
  /**
   * Bytes arrived. The handler owns them, and calls `channel.consumed(n)` once
   * it has handed them on: that is what lets the other side send more.
   */
  onData(chunk: Buffer): void;
  /** The other side half-closed: no more `onData`. At most once. */
  onEnd(): void;
  /** After `write` returned false: there is room again. */
  onWritable?(): void;
  /**
   * The last call, exactly once. Without error: both directions ended in
   * order. With one: the channel was reset, or its link failed.
   */
  onClose(error?: TunnelError): void;
}

/** One byte stream inside a link. */
export interface Channel {
  /** 32 hex digits; names the channel in logs and across links. */
  readonly uid: string;
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  /** What a client asked for; between relays the agent's id; empty on an agent's link. */
  readonly workload: string;
  /** What the opener declared. */
  readonly traffic: Traffic;
  readonly link: Link;
  readonly opened: boolean;
  readonly closed: boolean;
  /** Its link was lost, and another is looked for. */
  readonly detached: boolean;
  /** Bytes written and not yet given to the link: what waits for credit or its turn. */
  readonly queuedBytes: number;
  /** Gives the channel to another user (e.g. the next request on a pooled one). */
  setHandler(handler: ChannelHandler): void;
  setTraffic(traffic: Traffic): void;
  /** Acceptor only: the target is connected. */
  accept(): void;
  /**
   * Queues bytes. The channel owns the chunk from here on. Returns false when
   * over 256 KiB are queued: stop, and go on at `onWritable`. Never drops. After
   * `end` or close it does nothing and returns false.
   */
  write(chunk: Uint8Array): boolean;
  /** Half-close: no more writes. Idempotent. */
  end(): void;
  /**
   * Ends both directions at once. The handler's `onClose` is *not* called for
   * an error of one's own making. Idempotent.
   */
  reset(code: ChannelErrorCode, reason: string): void;
  /** `bytes` received through `onData` have been handed on. */
  consumed(bytes: number): void;
}

export interface LinkHandler {
  /** The other side opened a channel. Call `setHandler` before returning, then `accept` or `reset` it. */
  onChannel(channel: Channel): void;
  /** On a relay. Call `resumeChannel` or `refuse`, now or later. Default: the channel is not known. */
  onResume?(resume: IncomingResume): void;
  /** A channel that this side opened has its target; `waitedMs`: from `open` to `Opened`. */
  onChannelOpened?(waitedMs: number): void;
  /** The other side wants the link to end; open nothing new on it. */
  onDrain?(deadlineMs: number, reason: string): void;
  /** The last call, exactly once, after every channel's `onClose`. */
  onClose(error: TunnelError): void;
}

/** A live view: reading it costs nothing, and it changes as the link works. */
export interface LinkStats {
  readonly channels: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Payload queued in all channels and not yet given to the transport. */
  readonly queuedBytes: number;
  /** Times a channel had bytes to send and no credit for them. */
  readonly stalls: number;
  /** Smoothed round trip in ms; undefined before the first sample. */
  readonly rttMs: number | undefined;
  /** True while bulk is flowing (in the last second) on this link. */
  readonly bulk: boolean;
  /**
   * True while the other side owes an answer for seconds: it may be dead, stand still, or be cut off. A link that
   * answers is preferred. It is closed only once its liveness says so.
   */
  readonly silent: boolean;
}

/** One gRPC stream (or WebSocket) between two processes. */
export interface Link {
  readonly id: string;
  readonly closed: boolean;
  /** True after either side sent `Drain`. */
  readonly draining: boolean;
  readonly stats: LinkStats;
  /** Both sides know how to resume channels. */
  readonly resumes: boolean;
  /** Throws TunnelError `limit` (too many channels), `draining` or `link-lost`. */
  open(options: OpenOptions, handler: ChannelHandler): Channel;
  /**
   * Goes on with a channel of one's own that has lost its link, or moves one that
   * still has it. `workload` as in `OpenOptions`, if it differs on this link. Throws as `open` does.
   */
  resume(channel: Resumable, workload?: string): void;
  /** Asks the other side to end this link within `deadlineMs`. */
  drain(deadlineMs: number, reason: string): void;
  /** Ends the link and all its channels now, telling the other side why. Idempotent. */
  close(error: TunnelError): void;
}

/** The dialler's introduction, from `Hello`. */
export interface HelloInfo {
  readonly revision: number;
  readonly minRevision: number;
  readonly instanceId: string;
  readonly software: string;
  readonly capabilities: readonly string[];
  readonly listeningPorts: readonly number[];
  /** One line of OpenSSH's form, `ssh-ed25519 AAAA…`; empty if there is none. */
  readonly sshHostKey: string;
  readonly sshServer: SshServerKind;
  /** Whom a real sshd runs sessions as; empty otherwise. */
  readonly sshUser: string;
  readonly label: string;
}

/** What answers channels to the target `ssh`. */
export type SshServerKind = 'none' | 'built-in' | 'sshd';

/** The relay's answer, from `Welcome`. */
export interface WelcomeInfo {
  readonly revision: number;
  readonly relayId: string;
  readonly relayIncarnation: string;
  readonly software: string;
  readonly capabilities: readonly string[];
  readonly clusterSize: number;
  readonly pingAfterMs: number;
  readonly pongWithinMs: number;
  readonly maxChannels: number;
  readonly workload: string;
  readonly minLinks: number;
  readonly maxLinks: number;
  /** Bytes that the dialler may send on a new channel before it is answered; 0 or undefined: 256 KiB. */
  readonly firstWindow?: number;
}

/**
 * The dialling side. `dialGrpc` (from `@burrow/tunnel/grpc`) and
 * `dialWebSocket` (from `@burrow/tunnel/websocket`) both have this shape; they
 * resolve once `Welcome` has arrived, and reject with TunnelError.
 */
export interface DialOptions {
  /** `http://…` or `https://…` of the relay. */
  readonly url: URL;
  readonly token: string;
  readonly hello: Omit<HelloInfo, 'revision' | 'minRevision' | 'capabilities'>;
  readonly handler: LinkHandler;
  /** PEM of extra certificate authorities. */
  readonly ca?: string;
  /** Makes the raw socket (through a proxy, say); default: a TCP connection to the URL. */
  readonly connect?: (signal: AbortSignal) => Promise<import('node:stream').Duplex>;
  /** An agent's: keeps the channels of lost links. Without it none outlives its link. */
  readonly keeper?: ChannelKeeper;
  /** Bounds the whole of dialling. */
  readonly signal: AbortSignal;
}

export interface DialledLink {
  readonly link: Link;
  readonly welcome: WelcomeInfo;
}

export type Dial = (options: DialOptions) => Promise<DialledLink>;

/**
 * The accepting side, per incoming stream: `acceptGrpc(stream, headers, options)`
 * takes an http2 server stream, `acceptWebSocket(socket, options)` a `ws` socket. The link waits
 * for `Hello` (bounded by helloTimeoutMs), then calls `welcome`, which may be
 * asynchronous and may throw TunnelError to refuse the link with its code.
 * Resolves to undefined when the link was refused or lost before `Welcome`.
 */
export interface AcceptOptions {
  readonly welcome: (
    hello: HelloInfo,
  ) =>
    | Omit<WelcomeInfo, 'revision' | 'capabilities'>
    | Promise<Omit<WelcomeInfo, 'revision' | 'capabilities'>>;
  readonly handler: LinkHandler;
  readonly helloTimeoutMs?: number;
  /** Opens per second that the dialler may make; 0: none (agents accept, they never open). */
  readonly maxOpensPerSecond?: number;
}

export interface AcceptedLink {
  readonly link: Link;
  readonly hello: HelloInfo;
}
