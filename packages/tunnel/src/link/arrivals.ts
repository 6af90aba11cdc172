import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import type { Open, Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { LinkTap } from '../trace/link-tap.ts';
import type { LinkHandler } from '../types.ts';
import { safeNumber } from '../wire/decode.ts';
import { openFault, resetFrame, targetFromWire, trafficFromWire } from '../wire/messages.ts';
import { AcceptorEnd } from './acceptor-end.ts';
import type { ChannelHost } from './channel-host.ts';
import type { ChannelNumbers } from './channel-numbers.ts';
import type { Endpoint } from './endpoint.ts';
import { type ChannelKeeper, unknownChannel } from './keeper.ts';
import { OpenRate } from './open-rate.ts';
import { askedFromWire, PendingResume, resumeFault } from './pending-resume.ts';

/** The link that channels arrive on. */
interface Host extends ChannelHost {
  /** The endpoint has its number from now on. */
  hold(endpoint: Endpoint): void;
  readonly tap: LinkTap | undefined;
}

export interface ArrivalOptions {
  readonly maxOpensPerSecond: number;
  /** An agent's. */
  readonly keeper: ChannelKeeper | undefined;
}

/** What the peer opens or goes on with: looked at, and taken in or refused. */
export class Arrivals {
  readonly #host: Host;
  readonly #numbers: ChannelNumbers;
  readonly #handler: LinkHandler;
  readonly #rate: OpenRate;
  readonly #keeper: ChannelKeeper | undefined;

  constructor(
    host: Host,
    numbers: ChannelNumbers,
    handler: LinkHandler,
    { maxOpensPerSecond, keeper }: ArrivalOptions,
  ) {
    this.#host = host;
    this.#numbers = numbers;
    this.#handler = handler;
    this.#rate = new OpenRate(maxOpensPerSecond);
    this.#keeper = keeper;
  }

  /** `draining`: the peer said that it would open nothing more. Throws TunnelError `protocol-error` for a number not its own. */
  open(open: Open, draining: boolean, now: number): void {
    const number = open.channel;
    this.#numbers.take(number);
    const fault = openFault(open);
    if (fault !== undefined) return this.#refuse(number, 'protocol-error', fault);
    if (draining) {
      const reason = 'The link is draining; open the channel on another.';
      return this.#refuse(number, 'draining', reason);
    }
    const full = this.#fullBecause(now);
    if (full !== undefined) return this.#refuse(number, 'limit', full);
    const target = targetFromWire(open.target);
    if (target === undefined) {
      return this.#refuse(number, 'unsupported', 'This kind of target is not known here.');
    }
    const uid = Buffer.from(open.uid).toString('hex');
    const keeper = this.#host.resumes ? this.#keeper : undefined;
    if (keeper?.knows(uid) === true) {
      const reason = 'A channel with this uid was opened before.';
      return this.#refuse(number, 'unknown-channel', reason);
    }
    const { userId = '', username = '' } = open.principal ?? {};
    const facts = {
      uid,
      target,
      principal: { userId, username },
      metadata: open.metadata,
      workload: open.workload,
      traffic: trafficFromWire(open.traffic),
    };
    const sendLimit = safeNumber(open.initialWindow);
    const channel = new AcceptorEnd(this.#host, number, facts, sendLimit, keeper);
    keeper?.admit(channel);
    this.#host.hold(channel);
    this.#handler.onChannel(channel);
  }

  /** Also on a link that drains: nothing new begins, and its opener may not know yet. Throws as `open` does. */
  resume(resume: Resume, now: number): void {
    const number = resume.channel;
    this.#numbers.take(number);
    const fault = resumeFault(resume);
    if (fault !== undefined) return this.#refuse(number, 'protocol-error', fault);
    const full = this.#fullBecause(now);
    if (full !== undefined) return this.#refuse(number, 'limit', full);
    const asked = askedFromWire(resume);
    if (this.#keeper === undefined && this.#handler.onResume !== undefined) {
      const pending = new PendingResume(this.#host, number, asked);
      this.#host.hold(pending);
      this.#host.tap?.received({ case: 'resume', value: resume });
      return this.#handler.onResume(pending);
    }
    const answer = this.#keeper?.resume(this.#host, number, asked) ?? unknownChannel();
    if (answer instanceof AcceptorEnd) {
      if (!answer.over) this.#host.hold(answer);
    } else if (answer instanceof TunnelError) {
      this.#refuse(number, answer.code as ChannelErrorCode, answer.message);
    } else this.#host.send(answer);
  }

  #refuse(number: number, code: ChannelErrorCode, reason: string): void {
    this.#host.send(resetFrame(number, code, reason));
  }

  /** Why no channel more may come in now; undefined: it may. */
  #fullBecause(now: number): string | undefined {
    const full = this.#numbers.full;
    if (full !== undefined) return full;
    if (this.#rate.take(now)) return undefined;
    return 'Channels are opened too fast; try again in a second.';
  }
}
