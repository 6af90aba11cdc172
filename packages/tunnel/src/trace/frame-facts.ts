import type { Frame } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { FrameKind } from '../wire/encode.ts';
import { resetCodeFromWire } from '../wire/messages.ts';
import type { FrameFacts, TracedFrame } from './events.ts';

export interface KnownFrame {
  readonly channel: number;
  readonly frame: TracedFrame;
  readonly facts: FrameFacts;
}

/** Undefined: the frame is about no channel, or of a kind that is told of elsewhere. */
export function factsOf(kind: FrameKind | Frame['kind']): KnownFrame | undefined {
  const { value } = kind;
  if (value === undefined) return undefined;
  const known = (frame: TracedFrame, channel: number | undefined, facts: FrameFacts) => ({
    channel: channel ?? 0,
    frame,
    facts,
  });
  switch (kind.case) {
    case 'open':
      return known('open', kind.value.channel, {
        epoch: kind.value.epoch ?? 1,
        limit: Number(kind.value.initialWindow ?? 0n),
      });
    case 'opened':
      return known('opened', kind.value.channel, {
        limit: Number(kind.value.initialWindow ?? 0n),
      });
    case 'credit': {
      const { channel, acked = 0n, limit = 0n } = kind.value;
      return known('credit', channel, { acked: Number(acked), limit: Number(limit) });
    }
    case 'fin':
      return known('fin', kind.value.channel, { offset: Number(kind.value.offset ?? 0n) });
    case 'reset': {
      const { channel, code, reason = '' } = kind.value;
      return known('reset', channel, { code: resetCodeFromWire(code), reason });
    }
    case 'resume': {
      const { channel, epoch = 0, received = 0n, limit = 0n, ended = false } = kind.value;
      const offsets = { received: Number(received), limit: Number(limit) };
      return known('resume', channel, { epoch, ...offsets, ended });
    }
    case 'resumed': {
      const { channel, received = 0n, limit = 0n, ended = false } = kind.value;
      return known('resumed', channel, {
        ...{ received: Number(received), limit: Number(limit), ended },
      });
    }
    case 'detached':
      return known('detached', kind.value.channel, { reason: kind.value.reason ?? '' });
    default:
      return undefined;
  }
}
