import { randomBytes } from 'node:crypto';
import type { FrameKind } from '../wire/encode.ts';
import { targetToWire, trafficToWire } from '../wire/messages.ts';
import type { ChannelFacts } from './channel-facts.ts';

/** 32 hex digits. */
export function newUid(): string {
  return randomBytes(16).toString('hex');
}

/** `initialWindow` in bytes. */
export function openFrame(
  channel: number,
  { uid, target, principal, traffic, metadata }: ChannelFacts,
  initialWindow: number,
  workload: string,
): FrameKind {
  return {
    case: 'open',
    value: {
      channel,
      uid: Buffer.from(uid, 'hex'),
      target: targetToWire(target),
      principal,
      traffic: trafficToWire(traffic),
      initialWindow: BigInt(initialWindow),
      metadata: { ...metadata },
      epoch: 1,
      workload,
    },
  };
}
