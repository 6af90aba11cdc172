/** One run of a relay's process, as the others know it. */
export interface RelayInfo {
  /** Stable name; a restarted relay keeps it. */
  readonly id: string;
  /** 32 hex digits; one run of the process. */
  readonly incarnation: string;
  /** What other relays dial: `http://host:port` or `https://host:port`. */
  readonly peerUrl: string;
  readonly version: string;
}

/** A relay that holds links of an agent. */
export interface AgentRoute {
  readonly relay: RelayInfo;
  /** The agent's run (`Hello.instance_id`), as that relay last wrote it. */
  readonly instanceId: string;
}

/**
 * Which relays of a cluster hold which agent. Only `find` and `relays` wait; all
 * else is written in the background, and written again after the store was away.
 */
export interface Registry {
  /**
   * Writes this incarnation's lease and begins to refresh it. A store that does
   * not answer is no failure: the relay serves what it has, and `problem` says so.
   */
  start(self: RelayInfo): Promise<void>;
  /** Gives the lease back. Idempotent. */
  stop(): Promise<void>;
  /** A link of the agent is here. Never throws, never waits. */
  add(agentId: string, linkId: string, instanceId: string): void;
  /** That very link is gone. Never throws, never waits. */
  remove(agentId: string, linkId: string): void;
  /**
   * Relays other than this one that hold the agent, each once; live incarnations
   * only. Rejects with RelayError `unavailable`, a sentence about the store, or the signal's reason.
   */
  find(agentId: string, signal: AbortSignal): Promise<readonly AgentRoute[]>;
  /**
   * Somebody published that the agent connected or left. Only a hint: it may be
   * lost, and may be about this relay's own links. Returns unsubscribe.
   */
  onChange(listener: (agentId: string) => void): () => void;
  /** Live relays, this one included, each id once (the newest incarnation). Rejects like `find`. */
  relays(): Promise<readonly RelayInfo[]>;
  /** The same without asking: what the last refresh of the lease saw, or a hint since. */
  readonly lastSeen: readonly RelayInfo[];
  /** How many those are, at least 1: `Welcome.cluster_size`. */
  readonly size: number;
  readonly healthy: boolean;
  /** A sentence about the store while it is not healthy. */
  readonly problem: string | undefined;
  /** Totals since the start. */
  readonly counts: RegistryCounts;
}

export interface RegistryCounts {
  /** Calls of `find`. */
  readonly lookups: number;
  /** Calls of the store that failed, of any kind. */
  readonly errors: number;
  /** Commands sent to the store. */
  readonly commands: number;
}
