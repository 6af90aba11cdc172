import { createResumer, TunnelError, type ChannelResumer, type Link } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';

/**
 * A link that is dialled anew when it is lost, or when its relay asks for it:
 * by restarting, or because the laptop has changed networks. Channels opened
 * with its resumer go on over the new one.
 */
export class SteadyLink {
  readonly resumer: ChannelResumer;
  readonly #dial: () => Promise<Link>;
  #link: Link;
  #dialling: Promise<Link> | undefined;
  #over = false;

  private constructor(link: Link, dial: () => Promise<Link>) {
    this.#link = link;
    this.#dial = dial;
    this.resumer = createResumer({
      keepAlive: true,
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
  static async open(dial: () => Promise<Link>): Promise<SteadyLink> {
    return new SteadyLink(await dial(), dial);
  }

  get link(): Link {
    return this.#link;
  }

  close(error: TunnelError): void {
    this.#over = true;
    this.resumer.stop(error);
    this.#link.close(error);
  }

  /** A link on which channels can be opened now; dials if need be. Rejects as `dial` does. */
  async usable(): Promise<Link> {
    if (!this.#link.closed && !this.#link.draining) return this.#link;
    this.#dialling ??= this.#dial().finally(() => (this.#dialling = undefined));
    const link = await this.#dialling;
    if (this.#over) link.close(new TunnelError('cancelled', 'The client has finished.'));
    // The old one ends by itself: its relay drains, or it is lost.
    else this.#link = link;
    return link;
  }
}
