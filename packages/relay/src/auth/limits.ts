/** Every number of this room, with its reason. */
export const AUTH_LIMITS = Object.freeze({
  /** A working fortnight without signing in again; apps' sessions end with it. */
  sessionMs: 14 * 24 * 3600_000,
  /** Long enough to copy a link from a terminal to a browser. */
  signInLinkMs: 15 * 60_000,
  /** Two redirects of one browser; longer only helps a thief. */
  handOverMs: 10_000,
  /** How long a verified credential is believed without asking the database (another relay may have revoked it). */
  cacheMs: 5_000,
  /** Verified credentials kept in memory, each of about 400 bytes. */
  cacheEntries: 10_000,
  /** Failed sign-ins per address before it has to wait; one more is allowed every `attemptRefillMs`. */
  attempts: 10,
  attemptRefillMs: 30_000,
  /** Addresses remembered by the attempt limit. */
  attemptAddresses: 10_000,
  /**
   * The same for what they are aimed at, from all addresses: a workspace asked for, a person signed in. Strangers
   * reach it with five addresses; nobody does by mistake. Full again after 5 minutes.
   */
  aimAttempts: 50,
  aimRefillMs: 6_000,
  /** Aims remembered by this relay alone; the database has all. */
  attemptAims: 10_000,
  /** How long an address from which somebody signed in does not wait for what others did. */
  knownAddressMs: 30 * 24 * 3600_000,
  /** Written at most this often for one address. */
  knownAddressWriteMs: 24 * 3600_000,
  /** Expired rows are removed at most this often, and only when new ones are made. */
  sweepMs: 60_000,
  /** SSH keys of one person; also what one channel to a workload's SSH server may name (64). */
  sshKeys: 50,
  /** A key's last use is written at most this often. */
  keyUseMs: 60_000,
  /** Time to open a link, sign in and say yes; ssh itself waits as long (LoginGraceTime of sshd). */
  approvalMs: 120_000,
  /** How often the database is asked whether another relay's page was used. */
  approvalPollMs: 1_000,
  /** Sign-ins that may wait for an approval at once, in all. */
  approvals: 1_000,
  /** Longest path (bytes) on an app host that signing in leads back to; else it leads to `/`. */
  appReturnPath: 2048,
  /** Longest on the control host: it may hold one of an app host, with every byte percent-encoded. */
  returnPath: 8192,
});
