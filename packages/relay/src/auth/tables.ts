/** Rows of the tables made by `db/migrations/0002-auth.ts` and later. Times are ms since the epoch. */
export interface UserRow {
  readonly id: string;
  readonly username: string;
  /** 0 or 1. */
  readonly admin: number;
  readonly created_at: number;
}

export interface AccessTokenRow {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
  /** SHA-256, base64url. */
  readonly token_hash: string;
  readonly created_at: number;
  readonly expires_at: number | null;
}

export interface SessionRow {
  readonly id: string;
  readonly secret_hash: string;
  readonly user_id: string;
  /** Null: a session of the control host. Else the exact authority of one app host. */
  readonly host: string | null;
  /** The control session that an app session came from. */
  readonly parent_id: string | null;
  readonly created_at: number;
  readonly expires_at: number;
}

export interface SignInCodeRow {
  readonly code_hash: string;
  readonly kind: 'link' | 'hand-over';
  readonly user_id: string;
  readonly return_to: string;
  readonly session_id: string | null;
  readonly host: string | null;
  readonly challenge: string | null;
  readonly expires_at: number;
}

export interface SshKeyRow {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  /** `<type> <base64>`, without a comment. */
  readonly public_key: string;
  /** OpenSSH's `SHA256:…`; unique. */
  readonly fingerprint: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly last_used_at: number | null;
}

export interface SshApprovalRow {
  readonly code_hash: string;
  readonly user_code: string;
  readonly address: string;
  readonly workspace: string | null;
  readonly created_at: number;
  readonly expires_at: number;
  /** Null until somebody, `user_id`, has decided. */
  readonly decision: 'approved' | 'denied' | null;
  readonly user_id: string | null;
}

/** Migration `0009-attempts`. */
export interface FailedAttemptsRow {
  /** An address, the /64 of one, or what attempts were aimed at (`workspace:…`, `user:…`). */
  readonly address: string;
  /** When nothing counts against it any more. */
  readonly forgiven_at: number;
}

/** Migration `0010-known-addresses`. */
export interface KnownAddressRow {
  /** An address, or the /64 of one. */
  readonly address: string;
  readonly until: number;
}

export interface AuthTables {
  readonly users: UserRow;
  readonly access_tokens: AccessTokenRow;
  readonly sessions: SessionRow;
  readonly sign_in_codes: SignInCodeRow;
  readonly ssh_keys: SshKeyRow;
  readonly ssh_approvals: SshApprovalRow;
  readonly failed_attempts: FailedAttemptsRow;
  readonly known_addresses: KnownAddressRow;
}
