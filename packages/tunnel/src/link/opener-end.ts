import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { traces } from '../trace/traces.ts';
import type { Side } from '../trace/view.ts';
import type { FrameKind } from '../wire/encode.ts';
import { ChannelEnd, type Why } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import type { Position } from './endpoint.ts';
import { misplaced } from './misplaced.ts';
import { newUid, openFrame } from './open-frame.ts';
import { resumeFrame } from './position-frames.ts';
import { IMPOSSIBLE_OFFSET, mayWorkElsewhere, neverBegan } from './resume-rules.ts';

/** The end that opened the channel. Only this side looks for another link, and asks to go on there. */
export class OpenerEnd extends ChannelEnd {
  /**
   * `due`: no agent has heard of the channel, which is opened anew instead of resumed.
   * `done`: it was, and what refuses it now may be another way than the one that was asked first.
   */
  #reopening: 'no' | 'due' | 'done' = 'no';
  /** The user reset the channel while the other side could not be told. */
  #untold: { code: ChannelErrorCode; message: string } | undefined;

  protected get side(): Side {
    return 'agent';
  }

  accept(): void {}

  onOpened(initialWindow: number): void {
    // It is said once more after each Resume.
    if (this.opened && this.epoch > 1) return;
    if (this.opened) throw misplaced('a second or unasked Opened');
    this.markOpened();
    this.sending.allow(initialWindow);
    if (this.sendable) this.host.wake(this);
    this.host.onChannelOpened(performance.now() - this.openedAt);
    if (!this.closed) this.handler?.onOpened?.();
  }

  override onReset(error: TunnelError): void {
    if (this.over) return;
    if (this.refuge !== undefined && !this.opened) {
      if (neverBegan(error) && this.sending.acked === 0) {
        this.#reopening = 'due';
        return this.#untold === undefined ? this.detach(error) : this.finish(error);
      }
      if (this.#reopening === 'done' && mayWorkElsewhere(error)) return this.detach(error);
    }
    if (this.state === 'resuming' && mayWorkElsewhere(error)) return this.detach(error);
    this.breakOff(error);
  }

  onDraining(): void {
    this.refuge?.onDraining?.(this);
  }

  onSilent(): void {
    this.refuge?.onSilent?.(this);
  }

  /** Whoever finds a link tells the agent, so that nothing goes on for nobody. */
  protected resetDetached(why: { code: ChannelErrorCode; message: string }): void {
    this.#untold = why;
  }

  /** Takes a number on another link. Returns what asks the agent to go on there; undefined: nothing may. */
  resumeOn(host: ChannelHost, number: number, workload = this.workload): FrameKind | undefined {
    if (this.refuge === undefined || this.over) return undefined;
    this.moveTo(host, number);
    if (this.#reopening === 'due') return this.#openAgain(workload);
    this.epoch += 1;
    this.state = 'resuming';
    const { uid, epoch, principal } = this;
    const ageMs = Math.ceil(performance.now() - this.openedAt);
    const resumption = { uid, epoch, principal, workload, ageMs };
    return resumeFrame(number, resumption, this.receiving.tellPosition());
  }

  /** Under another uid: should the first Open still be on some way, the agent refuses it. */
  #openAgain(workload: string): FrameKind {
    this.#reopening = 'done';
    const uid = newUid();
    if (traces.active) traces.renamed(this.uid, this.host, uid);
    this.rename(uid);
    this.epoch = 1;
    this.attach({ received: 0, limit: this.host.maySendFirst, ended: false });
    this.refuge?.onAttached?.(this);
    return openFrame(this.number, this.facts, this.initialWindow, workload);
  }

  /** The agent has everything below `received`. */
  onResumed(position: Position): void {
    if (this.state !== 'resuming') throw misplaced('a Resumed that nobody asked for');
    if (!this.sending.reaches(position.received)) {
      this.host.sendReset(this, 'protocol-error', IMPOSSIBLE_OFFSET);
      return this.breakOff(new TunnelError('protocol-error', IMPOSSIBLE_OFFSET));
    }
    this.attach(position);
    this.refuge?.onAttached?.(this);
    if (this.#untold === undefined) return;
    this.host.sendReset(this, this.#untold.code, this.#untold.message);
    this.finish(this.#untold);
  }

  protected override finish(why?: Why): void {
    if (this.over) return;
    super.finish(why);
    if (traces.active) traces.over(this.uid, this.host, true, why);
  }
}
