import type { TraceEvent } from '@burrow/api';

export interface QueueCaps {
  readonly waitingFrames: number;
  readonly waitingEvents: number;
}

/**
 * What waits for one watcher. Never more than its caps: what comes then is
 * counted, and told as lost where it is missing. Frames give way first.
 */
export class LineQueue {
  readonly #caps: QueueCaps;
  /** Makes the event that says how many are missing. */
  readonly #lost: (count: number) => TraceEvent;
  #events: (TraceEvent | { lost: number })[] = [];

  constructor(caps: QueueCaps, lost: (count: number) => TraceEvent) {
    this.#caps = caps;
    this.#lost = lost;
  }

  get size(): number {
    return this.#events.length;
  }

  push(event: TraceEvent): void {
    const { waitingFrames, waitingEvents } = this.#caps;
    const cap = event.event === 'frame' ? waitingFrames : waitingEvents;
    if (this.#events.length < cap || event.event === 'over' || event.event === 'end') {
      this.#events.push(event);
      return;
    }
    const last = this.#events.at(-1);
    if (last !== undefined && 'lost' in last) last.lost += 1;
    else this.#events.push({ lost: 1 });
  }

  /** Everything, in order; the queue is empty. */
  take(): TraceEvent[] {
    const events = this.#events;
    this.#events = [];
    return events.map((each) => ('lost' in each ? this.#lost(each.lost) : each));
  }
}
