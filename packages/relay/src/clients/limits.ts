/** Every number of this room, with its reason. */
export const CLIENT_LIMITS = Object.freeze({
  /** Links and WebSockets of one person: each `ssh` has its own, and Ansible runs a hundred at once. */
  linksPerPerson: 256,
  /** Clients of a forwarded port may make a connection for each request; a loop gone wild is stopped. */
  opensPerSecond: 500,
  /** Room for every forwarded connection of a browser. */
  channelsPerLink: 1024,
  /** Channels of one person that wait for an agent: waiting places are the whole relay's. */
  waitingPerPerson: 64,
  /** Keys that a client may name for one channel, beside those of the account. */
  namedKeys: 8,
  /** How often what is open is compared with what is allowed: cut within a second, with room for the answer. */
  watchMs: 400,
  /** Unknown and not allowed are answered this long after the question, so that time tells nothing apart. */
  refusalMs: 100,
  /** A whole WebSocket message of a plain SSH connection. */
  messageBytes: 1024 * 1024,
  /** A WebSocket without traffic is pinged; below the 60 s of common load balancers. */
  keepAliveMs: 20_000,
  /** After a client closed its WebSocket: what it sent still reaches the workload. */
  lingerMs: 5_000,
});

export type ClientLimits = { readonly [Name in keyof typeof CLIENT_LIMITS]: number };
