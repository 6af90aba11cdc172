import type { Principal, Target, Traffic } from '../types.ts';

/** What a channel's Open says of it; the same on each of its links. */
export interface ChannelFacts {
  /** 32 hex digits. */
  readonly uid: string;
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly traffic: Traffic;
}
