export type KeyPurpose = 'ssh-host' | 'ssh-user-ca';

/** Rows of migration `0007-cluster-keys`: one for each purpose and slot. */
export interface ClusterKeysRow {
  readonly purpose: KeyPurpose;
  /** `current` is used; `next` is only made known, until it takes the other's place. */
  readonly slot: 'current' | 'next';
  /** `ssh-ed25519 AAAA…` */
  readonly public_line: string;
  /** The private key, encrypted: see `seal.ts`. */
  readonly sealed: string;
  readonly created_at: number;
}

export interface KeysTables {
  readonly cluster_keys: ClusterKeysRow;
}
