import type { ChannelErrorCode, TunnelError } from '../errors.ts';
import type { ChannelView } from '../trace/view.ts';

/** Two legs of a channel that now belong to the switch. */
export interface Joined {
  readonly closed: boolean;
  /** Leaves the channel to its ends, whose opener resumes it: another way is there. Only when both can. */
  detach(reason: string): void;
  /** Ends both legs at once, telling both peers why. Idempotent; `onEnd` is not called. */
  reset(code: ChannelErrorCode, reason: string): void;
}

/** How the owner of a switched channel hears of it. */
export interface JoinEvents {
  /** Called once: without an error when both directions ended in order. */
  onEnd?(error?: TunnelError): void;
  /** The link towards the agent is to end soon: once another way is there, `detach`. */
  onDraining?(): void;
  /**
   * The link towards the agent does not answer: should one that does be there, `detach`. Said again, twice a
   * second, while that is so.
   */
  onSilent?(): void;
}

/** What is known of a switched channel: nothing of it is needed to pass frames on. */
export interface SwitchedFacts extends Pick<
  ChannelView,
  'uid' | 'target' | 'principal' | 'workload' | 'traffic' | 'epoch'
> {
  /** `performance.now()` of its Open, as told. */
  readonly openedAt: number;
}
