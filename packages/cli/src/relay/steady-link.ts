import { createResumer, TunnelError, type ChannelResumer, type Link } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import { dialBeside, type DialLink } from './dial-beside.ts';

/**
 * A link that is dialled anew when it is lost, or when its relay asks for it:
 * by restarting, or because the laptop has changed networks. Channels opened
 * with its resumer go on over the new one.
 */
export class SteadyLink {
  readonly resumer: ChannelResumer;
  readonly #dial: DialLink;
  #link: Link;
  /** Links that did not answer when the present one was dialled, while they carry channels. */
  readonly #silent = new Set<Link>();
  #dialling: Promise<Link> | undefined;
  #over = false;

  private constructor(link: Link, dial: DialLink) {
    this.#link = link;
    this.#dial = dial;
    this.resumer = createResumer({
      keepAlive: true,
      onResumed: () => this.#leaveEmpty(),
      // It came back with its channels. Later: the last words of this one are still to be sent.
      onOver: () => this.#silent.size > 0 && setImmediate(() => this.#leaveEmpty()),
      findLink: async (channel) => {
        try {
          return await this.usable();
        } catch (error) {
          // The relay knows us no longer: no other way will do better.
          if (error instanceof CliError && error.exitCode === EXIT.notSignedIn) {
            channel.fail(new TunnelError('token-unknown', error.message, { cause: error }));
          }
          throw error;
        }
      },
    });
  }

  /** Rejects as `dial` does. */
  static async open(dial: DialLink): Promise<SteadyLink> {
    return new SteadyLink(await dialBeside(dial), dial);
  }

  get link(): Link {
    return this.#link;
  }

  close(error: TunnelError): void {
    this.#over = true;
    this.resumer.stop(error);
    for (const link of [this.#link, ...this.#silent]) link.close(error);
  }

  /** A link on which channels can be opened now; dials if need be. Rejects as `dial` does. */
  async usable(): Promise<Link> {
    const { closed, draining, stats } = this.#link;
    if (!closed && !draining && !stats.silent) return this.#link;
    this.#dialling ??= this.#another().finally(() => (this.#dialling = undefined));
    return this.#dialling;
  }

  async #another(): Promise<Link> {
    const link = await dialBeside(this.#dial);
    if (this.#over) link.close(new TunnelError('cancelled', 'The client has finished.'));
    else {
      // It ends by itself when its relay drains, or it is lost; one that was only silent may come back.
      if (!this.#link.closed) this.#silent.add(this.#link);
      this.#link = link;
      this.#leaveEmpty();
    }
    return link;
  }

  #leaveEmpty(): void {
    for (const link of this.#silent) {
      if (!link.closed && link.stats.channels > 0) continue;
      this.#silent.delete(link);
      link.close(new TunnelError('cancelled', 'Another link has taken its place.'));
    }
  }
}
