import { MAX_DATA_BYTES } from '../limits.ts';

/**
 * Keeps the bulk that is on its way within rate x (round trip + slack).
 *
 * A TCP connection fills every queue on its way: the kernel's send buffer (up to
 * 4 MiB, which Node cannot cap) and the routers'. Whatever comes after waits
 * behind it. So bulk is limited to what the path carries in one round trip and
 * a little more: the slack keeps the path busy and lets the rate be found, and
 * is all the queue that forms. The model is that of BBR (draft-ietf-ccwg-bbr):
 * the highest delivery rate and the lowest round trip of late; pings in the
 * stream take the place of TCP's acknowledgements.
 */

/** The standing queue, in ms: what a keystroke may wait behind bulk in one direction. */
export const SLACK_MS = 8;
const FLOOR_BYTES = 64 * 1024;
const START_BYTES = 256 * 1024;
/** A probe follows each 32nd of the window, or this much; */
const PROBE_EVERY_BYTES = 128 * 1024;
/** but not more than one in so long: on fast lines the answers cost more than they tell. */
const PROBE_EVERY_MS = 1;
/** Room under this (or a 64th of the window) is not worth a frame while more is in flight. */
const MIN_ROOM_BYTES = 16 * 1024;
/** How much more is tried, for a round trip, when no queue is seen. */
const PROBE_GAIN = 1.125;
const MIN_SLICE_BYTES = 2 * 1024;
const RATE_WINDOW_MS = 1_000;
const RTT_WINDOW_MS = 10_000;

interface Probe {
  readonly token: number;
  readonly sentAt: number;
  readonly sentBytes: number;
  /** What had been confirmed, and when, as the probe left. */
  readonly confirmed: number;
  readonly confirmedAt: number;
}

export class Pacer {
  #sent = 0;
  #confirmed = 0;
  #confirmedAt = 0;
  #probedBytes = 0;
  #probes: Probe[] = [];
  #window = START_BYTES;
  #starting = true;
  /** Bytes per ms: the highest of this window of time and of the one before. */
  #rate = 0;
  #ratePrevious = 0;
  #rateSince = 0;
  #rtt = Infinity;
  #rttPrevious = Infinity;
  #rttSince = 0;
  /** Until then the window is smaller, to see the path without our own queue. */
  #drainUntil = 0;
  /** Whether the window held bulk back since the rates last moved on. */
  #limited = false;
  /** A round ends when what had been sent at its start is confirmed. */
  #roundEnd = 0;
  #roundTail = Infinity;
  #roundLimited = false;
  /** Rounds after a drain, whose empty queue says nothing about room. */
  #calmRounds = 0;
  /** Confirmed since a sample last came without a queue. */
  #queuedBytes = 0;
  #gain = 1;

  get inFlight(): number {
    return this.#sent - this.#confirmed;
  }

  /** Lowest round trip of late in ms; Infinity before the first sample. */
  get minRttMs(): number {
    return Math.min(this.#rtt, this.#rttPrevious);
  }

  get windowBytes(): number {
    return this.#window;
  }

  /** How many bytes of bulk may leave now. 0: wait for a Pong. */
  room(now: number): number {
    const window = now < this.#drainUntil ? this.#drainedWindow : this.#window;
    const inFlight = this.inFlight;
    const room = Math.floor(window - inFlight);
    if (inFlight === 0 || room >= Math.min(MIN_ROOM_BYTES, window / 64)) return room;
    this.#limited = this.#roundLimited = true;
    return 0;
  }

  /** One frame of bulk, at most: on a slow line 64 KiB would be a burst of many ms. */
  get sliceBytes(): number {
    return Math.min(MAX_DATA_BYTES, Math.max(MIN_SLICE_BYTES, Math.floor(this.#window / 16)));
  }

  /** Less than the path itself holds, so that our queue empties. */
  get #drainedWindow(): number {
    const base = this.minRttMs;
    return (0.9 * this.#window * base) / (base + SLACK_MS);
  }

  onSent(bytes: number, now: number): void {
    // After a pause the clock of the next sample starts now, not at the last Pong.
    if (this.#sent === this.#confirmed) this.#confirmedAt = now;
    this.#sent += bytes;
  }

  /** True when a Ping should follow what was sent. */
  get wantsProbe(): boolean {
    const unproven = this.#sent - this.#probedBytes;
    if (unproven === 0) return false;
    if (this.#probes.length === 0) return true;
    const often = Math.max(this.#rate, this.#ratePrevious) * PROBE_EVERY_MS;
    return unproven >= Math.max(often, Math.min(PROBE_EVERY_BYTES, this.#window / 32));
  }

  onProbe(token: number, now: number): void {
    this.#probedBytes = this.#sent;
    this.#probes.push({
      token,
      sentAt: now,
      sentBytes: this.#sent,
      confirmed: this.#confirmed,
      confirmedAt: this.#confirmedAt,
    });
  }

  onPong(token: number, now: number): void {
    const index = this.#probes.findIndex((probe) => probe.token === token);
    if (index < 0) return;
    const probe = this.#probes[index]!;
    this.#probes.splice(0, index + 1);
    const delivered = probe.sentBytes - this.#confirmed;
    this.#confirmed = probe.sentBytes;
    this.#confirmedAt = now;
    const rtt = Math.max(0.05, now - probe.sentAt);
    this.#learnRtt(rtt, now);
    this.#learnRate(probe, rtt, now);
    this.#resize(rtt, delivered);
  }

  #learnRtt(rtt: number, now: number): void {
    if (this.#rttSince === 0) this.#rttSince = now;
    if (now - this.#rttSince > RTT_WINDOW_MS) {
      this.#rttPrevious = this.#rtt;
      this.#rtt = Infinity;
      this.#rttSince = now;
      this.#calmRounds = 2;
      this.#drainUntil = now + this.#rttPrevious + 2 * SLACK_MS;
    }
    if (rtt < this.#rtt) this.#rtt = rtt;
  }

  #learnRate(probe: Probe, rtt: number, now: number): void {
    const interval = Math.max(rtt, now - probe.confirmedAt);
    const rate = (this.#confirmed - probe.confirmed) / interval;
    if (now - this.#rateSince > Math.max(RATE_WINDOW_MS, 3 * this.minRttMs)) {
      // A sender that had little to say has learnt nothing about the path.
      if (this.#limited) {
        this.#ratePrevious = this.#rate;
        this.#rate = 0;
        this.#limited = false;
      }
      this.#rateSince = now;
    }
    if (rate > this.#rate) this.#rate = rate;
  }

  /** Once in a round trip: whether our own queue stands on the path, and what follows from it. */
  #endRound(): void {
    // Jitter only adds: the lowest of the round's last samples is the queue.
    const queued = this.#roundTail - this.minRttMs > SLACK_MS / 2;
    const room = !queued && this.#roundLimited && this.#calmRounds === 0;
    this.#gain = room ? PROBE_GAIN : 1;
    if (this.#calmRounds > 0) this.#calmRounds--;
    this.#roundEnd = this.#sent;
    this.#roundTail = Infinity;
    this.#roundLimited = false;
  }

  #resize(rtt: number, delivered: number): void {
    // The tail of a round shows what its whole window did to the path.
    if (this.#roundEnd - this.#confirmed <= this.#window / 4) {
      this.#roundTail = Math.min(this.#roundTail, rtt);
    }
    if (this.#confirmed >= this.#roundEnd) this.#endRound();
    this.#queuedBytes = rtt <= this.minRttMs + SLACK_MS ? 0 : this.#queuedBytes + delivered;
    if (this.#starting) {
      // A clump of ours may queue for a moment; half a window of samples is the path being full.
      if (this.#queuedBytes <= this.#window / 2) {
        if (this.#roundLimited) this.#window += delivered;
        return;
      }
      this.#starting = false;
    }
    const rate = Math.max(this.#rate, this.#ratePrevious);
    this.#window = Math.max(FLOOR_BYTES, rate * (this.minRttMs + SLACK_MS) * this.#gain);
  }
}
