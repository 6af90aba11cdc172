import { TunnelError } from '../errors.ts';
import type { Transport, TransportHandler } from '../transport.ts';

/** One side of a simulated connection. What is sent arrives only when the simulation says so. */
class Side implements Transport {
  handler: TransportHandler | undefined;
  readonly inbox: Buffer[] = [];
  readonly #wire: Wire;
  closed = false;
  /** A `send` whose end was not told yet. */
  sending = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  setHandler(handler: TransportHandler): void {
    this.handler = handler;
  }

  send(chunks: Buffer[]): void {
    this.sending = true;
    if (!this.#wire.cut) this.#wire.other(this).inbox.push(Buffer.concat(chunks));
  }

  close(error: TunnelError): void {
    this.hearEnd(error);
    this.#wire.ended ??= error;
  }

  hearEnd(error: TunnelError): void {
    if (this.closed) return;
    this.closed = true;
    this.inbox.length = 0;
    this.handler?.onClose(error);
  }
}

/** A connection: in order and reliable until it is cut, which each side hears of at a time of its own. */
export class Wire {
  readonly a = new Side(this);
  readonly b = new Side(this);
  cut = false;
  /** Closed by one side for a reason. */
  ended: TunnelError | undefined;

  other(side: Side): Side {
    return side === this.a ? this.b : this.a;
  }

  get dead(): boolean {
    return this.a.closed && this.b.closed;
  }

  /** What the simulation may do next on this wire. */
  *steps(): Generator<() => void> {
    for (const side of [this.a, this.b]) {
      if (side.closed) continue;
      if (side.sending) {
        yield () => {
          side.sending = false;
          side.handler?.onSent();
        };
      }
      if (side.inbox.length > 0) yield () => side.handler?.onBytes(side.inbox.shift()!);
      else if (this.cut) {
        yield () => side.hearEnd(new TunnelError('link-lost', 'The connection was cut.'));
      } else if (this.ended !== undefined) {
        const { code, message } = this.ended;
        yield () => side.hearEnd(new TunnelError(code, message, { remote: true }));
      }
    }
  }
}
