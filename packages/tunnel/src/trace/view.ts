import type { Principal, Target, Traffic } from '../types.ts';

/** Which end of the channel a link leads to. */
export type Side = 'agent' | 'opener';

/** One attachment of a channel, at one moment. Bytes are payload since the channel was opened, replayed ones once. */
export interface ChannelView {
  /** 32 hex digits. */
  readonly uid: string;
  readonly side: Side;
  /** By a user in this process, and not by a peer over a link. */
  readonly openedHere: boolean;
  /** Undefined: it came with a Resume, which does not say. */
  readonly target: Target | undefined;
  readonly principal: Principal;
  /** As in `Channel.workload`. */
  readonly workload: string;
  readonly traffic: Traffic | undefined;
  /** Attachments so far, this one included. */
  readonly epoch: number;
  /** Since the channel was opened. */
  readonly ageMs: number;
  readonly toAgent: number;
  readonly toOpener: number;
  readonly state: ChannelState;
}

/**
 * `opening`: the target is not connected yet, or the answer to Resume has not come. `detached`:
 * between two links. `ended`: only a last acknowledgement is missing.
 */
export type ChannelState = 'opening' | 'open' | 'half-closed' | 'ended' | 'detached';

/** What can say so of itself. */
export interface Viewed {
  readonly uid: string;
  view(): ChannelView;
}
