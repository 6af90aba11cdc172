import type { Principal } from '../types.ts';
import type { FrameKind } from '../wire/encode.ts';
import type { Position } from './endpoint.ts';

/** Whom a Resume names, and on whose behalf. */
export interface Resumption {
  /** 32 hex digits. */
  readonly uid: string;
  readonly epoch: number;
  readonly principal: Principal;
  readonly workload: string;
  /** Since Open was sent, in whole ms. */
  readonly ageMs: number;
}

/** Of the opener's end, which stands at `position`. */
export function resumeFrame(
  channel: number,
  { uid, epoch, principal, workload, ageMs }: Resumption,
  { received, limit, ended }: Position,
): FrameKind {
  return {
    case: 'resume',
    value: {
      channel,
      uid: Buffer.from(uid, 'hex'),
      epoch,
      received: BigInt(received),
      limit: BigInt(limit),
      principal,
      workload,
      ended,
      ageMs: BigInt(ageMs),
    },
  };
}

/** Of the agent's end, which stands at `position`. */
export function resumedFrame(channel: number, { received, limit, ended }: Position): FrameKind {
  return {
    case: 'resumed',
    value: { channel, received: BigInt(received), limit: BigInt(limit), ended },
  };
}

/** A Credit of its own, for an endpoint that may be over before the next batch is filled. */
export function creditFrame(channel: number, acked: number, limit: number): FrameKind {
  return { case: 'credit', value: { channel, acked: BigInt(acked), limit: BigInt(limit) } };
}
