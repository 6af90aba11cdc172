import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError } from '../errors.ts';
import { RESUME_WINDOW_MS } from '../limits.ts';
import type { Link, Resumable, Resumer } from '../types.ts';

export interface ResumerOptions {
  /**
   * A link that may lead to the channel's agent now. May wait, until the signal;
   * undefined or a rejection: none for now, ask again.
   */
  findLink(channel: Resumable, signal: AbortSignal): Promise<Link | undefined>;
  /** What the channel's link is told as its workload; default: what its Open said. */
  workloadOf?(channel: Resumable): string | undefined;
  /** How long a channel may be without a link, in ms. */
  readonly windowMs?: number;
  /** The process lives at least as long as a channel looks for a link. */
  readonly keepAlive?: boolean;
  readonly onLost?: (channel: Resumable, reason: TunnelError) => void;
  readonly onResumed?: (channel: Resumable, afterMs: number, tries: number) => void;
  readonly onGivenUp?: (channel: Resumable, error: TunnelError) => void;
  /** A channel is over, in order or not. Called in the middle of its link's work. */
  readonly onOver?: (channel: Resumable) => void;
}

/** An opener's side of resuming. */
export interface ChannelResumer extends Resumer {
  /** Channels without a link. */
  readonly waiting: number;
  channels(): Iterable<Resumable>;
  /** Fails all that waits. Idempotent. */
  stop(error: TunnelError): void;
}

interface Search {
  readonly since: number;
  /** False: the channel still has a link, and is to leave it. */
  readonly lost: boolean;
  readonly abort: AbortController;
  readonly deadline: NodeJS.Timeout;
  tries: number;
  looking: boolean;
  /** The channel is where nobody answers: only a link that does is better. */
  silent: boolean;
  /** The channel's link drains: it must leave, whether that link answers or not. */
  draining: boolean;
}

/** Between tries: 0, then 50 ms, doubling. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

/** Looks for a link for each channel that has lost its own, again and again, within the resume window. */
export function createResumer(options: ResumerOptions): ChannelResumer {
  const windowMs = options.windowMs ?? RESUME_WINDOW_MS;
  const searches = new Map<Resumable, Search>();
  let stopped: TunnelError | undefined;

  function begin(channel: Resumable, reason: TunnelError): Search {
    end(channel);
    const late = (): void => {
      if (!channel.detached) return void end(channel);
      const error = new TunnelError(
        'agent-gone',
        `The connection to the agent was lost and did not come back within ${Math.round(windowMs / 1000)} s. ${reason.message}`,
        { cause: reason },
      );
      options.onGivenUp?.(channel, error);
      channel.fail(error);
    };
    const search: Search = {
      since: performance.now(),
      lost: channel.detached,
      abort: new AbortController(),
      deadline: setTimeout(late, windowMs),
      tries: 0,
      looking: false,
      silent: false,
      draining: false,
    };
    if (options.keepAlive !== true) search.deadline.unref();
    searches.set(channel, search);
    return search;
  }

  function end(channel: Resumable): Search | undefined {
    const search = searches.get(channel);
    if (search === undefined) return undefined;
    searches.delete(channel);
    clearTimeout(search.deadline);
    search.abort.abort(new TunnelError('cancelled', 'The channel needs no link any more.'));
    return search;
  }

  async function look(channel: Resumable, search: Search): Promise<void> {
    const { signal } = search.abort;
    if (search.looking) return;
    search.looking = true;
    while (!signal.aborted) {
      const wait = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (search.tries - 1));
      try {
        if (search.tries++ > 0) await sleep(wait, undefined, { signal, ref: false });
        const mayStay = search.silent && !search.lost && !search.draining;
        if (mayStay && !channel.link.stats.silent) return void end(channel);
        const link = await options.findLink(channel, signal);
        if (link === undefined || signal.aborted) continue;
        if ((search.silent || !search.lost) && link.stats.silent) continue;
        // From here on it may be lost again at any moment.
        search.looking = false;
        link.resume(channel, options.workloadOf?.(channel));
        return;
      } catch {
        // No link now, or it ended meanwhile: the deadline bounds all of it.
        search.looking = true;
      }
    }
  }

  function leave(channel: Resumable): void {
    if (stopped !== undefined) return;
    const search =
      searches.get(channel) ?? begin(channel, new TunnelError('draining', 'Its link drains.'));
    search.draining = true;
    void look(channel, search);
  }

  return {
    get waiting() {
      return searches.size;
    },
    channels: () => searches.keys(),
    onDetached(channel, reason) {
      if (stopped !== undefined) return channel.fail(stopped);
      let search = searches.get(channel);
      if (search?.lost !== true) {
        search = begin(channel, reason);
        options.onLost?.(channel, reason);
      }
      void look(channel, search);
    },
    onDraining: leave,
    onSilent(channel) {
      if (stopped !== undefined) return;
      const search =
        searches.get(channel) ??
        begin(channel, new TunnelError('link-silent', 'Its link does not answer.'));
      search.silent = true;
      void look(channel, search);
    },
    onAttached(channel) {
      const search = end(channel);
      if (search === undefined) return;
      options.onResumed?.(channel, performance.now() - search.since, search.tries);
      // Its drain was said while the channel was on its way there.
      if (channel.link.draining) leave(channel);
    },
    onOver(channel) {
      end(channel);
      options.onOver?.(channel);
    },
    stop(error) {
      stopped ??= error;
      for (const channel of [...searches.keys()]) channel.fail(error);
    },
  };
}
