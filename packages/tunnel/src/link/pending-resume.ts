import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import type { Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { IncomingResume, Link, Principal } from '../types.ts';
import { traces } from '../trace/traces.ts';
import type { ChannelView } from '../trace/view.ts';
import { safeNumber } from '../wire/decode.ts';
import type { Endpoint } from './endpoint.ts';
import { mayWorkElsewhere } from './resume-rules.ts';

/** What a Resume says. Offsets in bytes from the channel's start. */
export interface Asked {
  readonly uid: string;
  readonly epoch: number;
  readonly received: number;
  readonly limit: number;
  readonly principal: Principal;
  readonly workload: string;
  readonly ended: boolean;
  /** Since Open was sent, in ms. */
  readonly ageMs: number;
}

/** A sentence that says what is wrong with a Resume; undefined when nothing is. */
export function resumeFault(resume: Resume): string | undefined {
  if (resume.uid.length !== 16) return 'A channel uid has 16 bytes.';
  if (resume.epoch < 2) return 'Resume begins at epoch 2.';
  if (resume.workload.length > 63) return 'A workload has a name of at most 63 characters.';
  return undefined;
}

export function askedFromWire(resume: Resume): Asked {
  return {
    uid: Buffer.from(resume.uid).toString('hex'),
    epoch: resume.epoch,
    received: safeNumber(resume.received),
    limit: safeNumber(resume.limit),
    principal: {
      userId: resume.principal?.userId ?? '',
      username: resume.principal?.username ?? '',
    },
    workload: resume.workload,
    ended: resume.ended,
    ageMs: safeNumber(resume.ageMs),
  };
}

/** Of the link that a Resume came in on. */
interface Host extends Link {
  sendReset(endpoint: Endpoint, code: ChannelErrorCode, reason: string): void;
  forget(endpoint: Endpoint): void;
}

/** A Resume whose way onward is being looked up. Its opener sends nothing meanwhile but, perhaps, Reset. */
export class PendingResume implements Endpoint, IncomingResume {
  readonly number: number;
  readonly asked: Asked;
  readonly #host: Host;
  #closed = false;

  constructor(host: Host, number: number, asked: Asked) {
    this.#host = host;
    this.number = number;
    this.asked = asked;
  }

  get uid(): string {
    return this.asked.uid;
  }

  view(): ChannelView {
    const { uid, principal, workload, epoch, ageMs, received } = this.asked;
    return {
      ...{ uid, side: 'opener', openedHere: false, target: undefined, traffic: undefined },
      ...{ principal, workload, epoch, ageMs, toAgent: 0, toOpener: received, state: 'opening' },
    };
  }

  get principal(): Principal {
    return this.asked.principal;
  }

  get workload(): string {
    return this.asked.workload;
  }

  get link(): Link {
    return this.#host;
  }

  get closed(): boolean {
    return this.#closed;
  }

  refuse(code: ChannelErrorCode, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.sendReset(this, code, reason);
    this.#host.forget(this);
    if (!traces.active || mayWorkElsewhere({ code })) return;
    traces.over(this.uid, this.#host, false, { code, message: reason });
  }

  /** A switch's leg has taken its place. */
  taken(): void {
    this.#closed = true;
  }

  // ---- Endpoint ------------------------------------------------------------

  readonly sendable = false;

  isBulk(): boolean {
    return false;
  }

  emit(): number {
    return 0;
  }

  afterEmit(): void {}
  onDraining(): void {}
  onSilent(): void {}
  emitCredit(): void {}

  onReset(): void {
    this.#closed = true;
    this.#host.forget(this);
  }

  onDetached(): void {
    this.onReset();
  }

  onLinkLost(): void {
    this.#closed = true;
  }

  onOpened(): void {
    throw tooEarly();
  }

  onResumed(): void {
    throw tooEarly();
  }

  onData(): void {
    throw tooEarly();
  }

  onCredit(): void {
    throw tooEarly();
  }

  onFin(): void {
    throw tooEarly();
  }
}

function tooEarly(): TunnelError {
  return new TunnelError('protocol-error', 'The peer went on before Resumed was said.');
}
