/** What is known of a connection before its first request. */
export interface ConnectionInfo {
  /** The client's address, or the one that a trusted proxy's PROXY header named. No port. */
  readonly remoteAddress: string;
  /** This socket speaks TLS with us. */
  readonly secure: boolean;
  /** `remoteAddress` is a trusted proxy: its X-Forwarded-* are believed. */
  readonly trustedProxy: boolean;
}
