import type { ChannelErrorCode, TunnelErrorCode } from '../errors.ts';
import type { Link } from '../types.ts';
import type { Side } from './view.ts';

export type TracedFrame =
  | 'open'
  | 'opened'
  | 'data'
  | 'credit'
  | 'fin'
  | 'reset'
  | 'resume'
  | 'resumed'
  | 'detached';

/** What a frame says beside payload, which no event ever holds. Offsets, lengths and limits in bytes. */
export interface FrameFacts {
  readonly offset?: number;
  readonly length?: number;
  readonly acked?: number;
  readonly limit?: number;
  readonly received?: number;
  readonly epoch?: number;
  readonly ended?: boolean;
  readonly code?: ChannelErrorCode;
  readonly reason?: string;
}

/** What happens to a traced channel on one link of this process. */
export type ChannelEvent =
  | {
      readonly kind: 'attached';
      readonly link: Link;
      readonly side: Side;
      readonly number: number;
      readonly epoch: number;
    }
  | {
      readonly kind: 'detached';
      readonly link: Link;
      readonly side: Side;
      readonly number: number;
      /** Undefined: both directions ended in order. */
      readonly code?: TunnelErrorCode;
      readonly why: string;
    }
  | {
      readonly kind: 'frame';
      readonly link: Link;
      readonly side: Side;
      /** Else received. Sent is what was given to the transport. */
      readonly sent: boolean;
      readonly frame: TracedFrame;
      readonly facts: FrameFacts;
      /** Of Data: bytes that passed here before. Of Resume and Resumed: bytes that will pass once more. */
      readonly again: number;
    }
  /** Its opener's end is over (`openedHere`), or both legs of a switch are. Without a code: in order. */
  | {
      readonly kind: 'over';
      /** Towards the opener; the agent's, where the opener is here. */
      readonly link: Link;
      readonly openedHere: boolean;
      readonly code?: TunnelErrorCode;
      readonly why?: string;
    }
  /** Its first Open never arrived: it is opened anew under this uid, and traced on. */
  | { readonly kind: 'renamed'; readonly uid: string };

export type ChannelListener = (event: ChannelEvent) => void;
