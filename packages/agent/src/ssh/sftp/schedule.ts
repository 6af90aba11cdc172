/** One request, ready to be carried out. */
export interface Task {
  /** Changes nothing, so that others like it may run at the same time. */
  readonly shared: boolean;
  /** Bytes of memory it holds while it waits. */
  readonly size: number;
  /** Bytes its reply may take. */
  readonly reply: number;
  /** Carries it out and replies. Never rejects. */
  run(): Promise<void>;
  /** Takes the next request in, to carry out both in one go; false when they do not fit together. */
  join?(next: Task): boolean;
}

const MAX_PARALLEL = 16;
/** Bytes of requests that wait, and of replies that are not sent, before no more are taken. */
const MAX_WAITING = 4 * 1024 * 1024;
const MAX_REPLIES = 4 * 1024 * 1024;
const MAX_TASKS = 1024;

/**
 * Carries requests out as if one after the other (draft-ietf-secsh-filexfer-02,
 * section 4.1): those that change something alone, those between in parallel.
 */
export class Schedule {
  #waiting: Task[] = [];
  #waitingBytes = 0;
  #running = 0;
  #alone = false;
  /** Bytes of replies that are being made, or wait for the client. */
  #replies = 0;
  #stopped = false;
  readonly #onRoom: () => void;
  readonly #onIdle: () => void;

  /** `onRoom`: `full` may have changed. `onIdle`: nothing waits or runs. */
  constructor(onRoom: () => void, onIdle: () => void) {
    this.#onRoom = onRoom;
    this.#onIdle = onIdle;
  }

  /** Whether the client should be held back. */
  get full(): boolean {
    return this.#waitingBytes >= MAX_WAITING || this.#waiting.length >= MAX_TASKS;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  add(task: Task): void {
    if (this.#stopped) return;
    this.#waiting.push(task);
    this.#waitingBytes += task.size;
  }

  /** Forgets what waits; `onIdle` is called when what runs has ended. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#running === 0) this.#onIdle();
  }

  /** A reply is on its way: `bytes` of memory until `replied`. */
  replying(bytes: number): void {
    this.#replies += bytes;
  }

  replied(bytes: number): void {
    this.#replies -= bytes;
    this.start();
  }

  /** Starts whatever may start now. */
  start(): void {
    let taken = 0;
    const waiting = this.#waiting;
    while (taken < waiting.length && !this.#alone && this.#replies < MAX_REPLIES) {
      const task = waiting[taken];
      if (task === undefined) break;
      if (task.shared ? this.#running >= MAX_PARALLEL : this.#running > 0) break;
      taken++;
      this.#waitingBytes -= task.size;
      for (let next; (next = waiting[taken]) !== undefined && task.join?.(next) === true; taken++) {
        this.#waitingBytes -= next.size;
      }
      void this.#run(task);
    }
    if (taken === 0) return;
    waiting.splice(0, taken);
    this.#onRoom();
  }

  async #run(task: Task): Promise<void> {
    this.#running++;
    this.#alone = !task.shared;
    this.#replies += task.reply;
    await task.run();
    this.#replies -= task.reply;
    this.#running--;
    this.#alone = false;
    this.start();
    if (this.idle) this.#onIdle();
  }
}
