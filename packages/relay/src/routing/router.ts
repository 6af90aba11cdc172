import type {
  Channel,
  ChannelHandler,
  HelloInfo,
  Link,
  OpenOptions,
  Traffic,
  TunnelError,
} from '@burrow/tunnel';

/** What is known of an agent's links in this relay. */
export interface Presence {
  readonly links: number;
  /** ms since the epoch. */
  readonly connectedSince: number;
  readonly hello: HelloInfo;
}

/**
 * From an agent's id to a channel. Hides whether the agent's link ends here or
 * on another relay.
 */
export interface Router {
  /**
   * Opens a channel now, or returns undefined when no usable link is known (then
   * `await waitFor` and try again). Interactive traffic goes to a link without bulk.
   * Throws TunnelError `limit` when every link is full.
   */
  open(agentId: string, options: OpenOptions, handler: ChannelHandler): Channel | undefined;
  /** Resolves once a link of the agent is there; rejects with the signal's reason. */
  waitFor(agentId: string, signal: AbortSignal): Promise<void>;
  presence(agentId: string): Presence | undefined;
}

/** The same for channels that come in on one link and are joined with another. */
export interface LinkChooser extends Pick<Router, 'waitFor' | 'presence'> {
  /** The best link now for a channel of this kind; undefined: none is usable. */
  choose(agentId: string, traffic: Traffic): Link | undefined;
  /**
   * What went over a link of `choose` ended with this error, before the agent had
   * taken it: only the caller knows. A link to a relay that no longer has the agent is then
   * not chosen again. Never throws.
   */
  failed?(agentId: string, link: Link, error: TunnelError): void;
  /**
   * The link of `choose` is silent: looks whether another relay leads to the agent, and dials it. Resolves when it
   * has looked, whatever it found: `choose` again. Never rejects.
   */
  around?(agentId: string): Promise<void>;
}

/** What the links room tells routing. */
export interface LinkRegistry {
  add(agentId: string, link: Link, hello: HelloInfo): void;
  remove(agentId: string, link: Link): void;
}
