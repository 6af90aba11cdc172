import type { Wait } from '../auth/attempt-wait.ts';

/**
 * What the gateway's thread asks of the relay's main thread, where people,
 * workspaces and the database are. Only plain values cross.
 */

export interface Origin {
  /** Of the client, without port. */
  readonly address: string;
  /** The SSH software it announced, for the audit log. */
  readonly software: string;
  /** The user name it asked for: a workspace, or `burrow`. */
  readonly asked: string;
}

/** A person who has proved who they are on one connection; lives until `ended`. */
export interface SignedIn {
  readonly id: string;
  readonly userId: string;
  readonly username: string;
}

export type Proof =
  /** The fingerprint of a key whose signature was checked. */
  | { readonly kind: 'key'; readonly fingerprint: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'approval'; readonly approval: string };

export interface Destination {
  readonly workspaceId: string;
  readonly workspace: string;
  readonly server: 'built-in' | 'sshd';
  /** Whom an sshd runs the session as; empty for the built-in server. */
  readonly user: string;
  /** `ssh-ed25519 AAAA…`: what the workload must prove to be. */
  readonly hostKey: string;
}

/** A sentence for the person instead of what they asked for. */
export interface Refused {
  readonly refused: string;
}

export interface SshAuthority {
  /** Whether a signature by this key would sign somebody in. */
  knowsKey(fingerprint: string): Promise<boolean>;
  /**
   * Undefined: nobody's. Failures count against the address and the name asked for; `wait`
   * means that it may not try now, and that nothing was checked.
   */
  signIn(proof: Proof, origin: Origin): Promise<SignedIn | { readonly wait: Wait } | undefined>;
  /** A link to sign in by, or undefined when the address has asked too often. */
  beginApproval(
    origin: Origin,
  ): Promise<
    { readonly approval: string; readonly url: string; readonly userCode: string } | undefined
  >;
  /** Resolves to true when it was approved; false when denied or too late. */
  awaitApproval(approval: string): Promise<boolean>;
  /** Where the workspace's SSH answers, after waiting a bounded time for its agent. */
  find(signIn: string, workspace: string): Promise<Destination | Refused>;
  /** `SHA256:…` of the account's own keys. */
  keysOf(signIn: string): Promise<readonly string[]>;
  /** For an sshd: a certificate for the gateway's key, one line; for the next minutes. */
  certificate(signIn: string, workspace: string, publicLine: string): Promise<string>;
  /** What `ssh burrow@relay` shows. */
  workspacesOf(
    signIn: string,
  ): Promise<readonly { readonly name: string; readonly state: string }[]>;
  note(signIn: string, what: 'opened' | 'jumped', workspace: string): Promise<void>;
  /** The workload was not reached, for a reason that the person was told. */
  failed(signIn: string, workspace: string, why: string): Promise<void>;
  /** Somebody gave up or was turned away. */
  turnedAway(origin: Origin, why: string): Promise<void>;
  /** The connection is over. Idempotent. */
  ended(signIn: string): Promise<void>;
}

/** What the main thread tells the gateway's thread. */
export interface SshGatewayThread {
  /** Resolves with the port. Rejects when it cannot be had. */
  listen(): Promise<number>;
  /** Access was taken away: end that connection, saying why. */
  cut(signIn: string, sentence: string): Promise<void>;
  /** For new connections. */
  setHostKeys(hostKeys: readonly string[]): Promise<void>;
  /** No new connections. */
  stopAccepting(): Promise<void>;
  /** Ends everything, saying why. */
  stop(sentence: string): Promise<void>;
  stats(): Promise<{ readonly unauthenticated: number; readonly signedIn: number }>;
}
