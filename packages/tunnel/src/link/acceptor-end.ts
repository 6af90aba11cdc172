import { TunnelError } from '../errors.ts';
import type { Side } from '../trace/view.ts';
import { ChannelEnd, type Why } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { misplaced } from './misplaced.ts';
import type { Asked } from './pending-resume.ts';
import { resumedFrame } from './position-frames.ts';
import { IMPOSSIBLE_OFFSET } from './resume-rules.ts';

/** The end of a channel that the peer opened: an agent's, or a relay's until a switch takes it over. */
export class AcceptorEnd extends ChannelEnd {
  protected get side(): Side {
    return 'opener';
  }

  /** Everything below has arrived. */
  get received(): number {
    return this.receiving.received;
  }

  accept(): void {
    if (this.opened || this.closed) return;
    this.markOpened();
    if (this.state === 'attached') this.host.sendOpened(this, this.initialWindow);
  }

  onOpened(): void {
    throw misplaced('a second or unasked Opened');
  }

  onResumed(): void {
    throw misplaced('a Resumed that nobody asked for');
  }

  // The opener is asked over its own link, and moves by itself.
  onDraining(): void {}
  onSilent(): void {}

  protected resetDetached(why: Why): void {
    this.finish(why);
  }

  /** The opener asks from another link. Undefined: it goes on there; else the reason why it may not. */
  resumedBy(host: ChannelHost, number: number, asked: Asked): TunnelError | undefined {
    if (asked.principal.userId !== this.principal.userId) {
      return new TunnelError('not-allowed', 'The channel belongs to somebody else.');
    }
    if (asked.epoch <= this.epoch) {
      return new TunnelError('protocol-error', 'The channel is attached elsewhere since.');
    }
    if (!this.sending.reaches(asked.received)) {
      return new TunnelError('protocol-error', IMPOSSIBLE_OFFSET);
    }
    if (this.state === 'attached') {
      this.host.send({
        case: 'detached',
        value: { channel: this.number, reason: 'The channel goes on over another link.' },
      });
    }
    this.moveTo(host, number);
    this.epoch = asked.epoch;
    host.send(resumedFrame(number, this.receiving.tellPosition()));
    if (this.opened) host.sendOpened(this, this.initialWindow);
    this.attach(asked);
    this.refuge?.onAttached?.(this);
    return undefined;
  }

  // ---- for a switch, which takes the channel's place on its link ---------------

  get sendLimit(): number {
    return this.sending.limit;
  }

  get finReceived(): boolean {
    return this.receiving.ended;
  }

  /** The bytes that came before there was a handler. */
  takeEarly(): Buffer[] {
    return this.receiving.takeEarly() ?? [];
  }

  /** This end does nothing any more. */
  abandon(): void {
    this.markClosed();
    this.finish();
  }
}
