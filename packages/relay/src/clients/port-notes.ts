/** Ports remembered for one link; beyond it events are written twice rather than not at all. */
const REMEMBERED = 1024;

/**
 * A page behind a forwarded port makes dozens of connections: of those to one port of one
 * workspace only the first is worth an event, and each that fares otherwise than the one before.
 */
export class PortNotes {
  readonly #last = new Map<string, string>();

  /** Whether this is news. */
  news(workspace: string, port: number, what: string): boolean {
    const key = `${port} ${workspace}`;
    if (this.#last.get(key) === what) return false;
    if (this.#last.size < REMEMBERED || this.#last.has(key)) this.#last.set(key, what);
    return true;
  }
}
