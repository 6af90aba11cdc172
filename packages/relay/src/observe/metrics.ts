import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Link, TunnelErrorCode } from '@burrow/tunnel';
import { bucketTally, labelledTally } from './tallies.ts';

/** Where numbers come from that are read only when somebody asks. */
export interface MetricSources {
  links(): Iterable<Link>;
  agents(): number;
  waiting(): number;
  /** Channels that lost their way and look for another. */
  resuming(): number;
  connections(): number;
  databaseHealthy(): boolean;
  draining(): boolean;
  /** People signed in at the SSH gateway. */
  sshSignedIn(): number;
}

export interface RelayMetrics {
  readonly registry: Registry;
  linkOpened(transport: string): void;
  linkClosed(link: Link, code: TunnelErrorCode): void;
  linkRefused(code: TunnelErrorCode): void;
  channelOpened(): void;
  /** An agent has connected a channel to its target. From `Open` to `Opened`. */
  channelConnected(seconds: number): void;
  channelLost(): void;
  /** From the loss until it goes on. */
  channelResumed(seconds: number): void;
  channelGivenUp(): void;
  /** Of people's programs. */
  readonly clients: {
    linkOpened(transport: string): void;
    linkClosed(code: TunnelErrorCode): void;
    linkRefused(code: TunnelErrorCode): void;
    channelOpened(): void;
  };
  connectionRefused(why: string): void;
  auditDropped(count: number): void;
  /** One request through the gateway. `outcome` is one of a fixed few. */
  request(outcome: string): void;
  /** From the whole request head to the response head: tunnel, link and app together. */
  answered(seconds: number): void;
}

/** 50 µs to 5 s. */
const LATENCY_BUCKETS = [
  0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
];

/**
 * Prometheus metrics, in a registry of the relay's own. Labels have few, fixed
 * values: never a name of a user, workspace or host.
 */
export function createMetrics(sources: MetricSources): RelayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'burrow_' });
  const registers = [registry];
  /** What links that are gone have counted. */
  const past = { bytesIn: 0, bytesOut: 0, stalls: 0 };

  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const total = (name: string, help: string, key: keyof typeof past): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        let sum = past[key];
        for (const link of sources.links()) sum += link.stats[key];
        this.reset();
        this.inc(sum);
      },
    });
  };
  const sumOf = (read: (link: Link) => number): number => {
    let sum = 0;
    for (const link of sources.links()) sum += read(link);
    return sum;
  };

  gauge('burrow_links', 'Connected links of agents.', () => sumOf(() => 1));
  gauge('burrow_agents', 'Agents with at least one link.', () => sources.agents());
  gauge('burrow_channels', 'Open channels.', () => sumOf((link) => link.stats.channels));
  gauge('burrow_channel_queued_bytes', 'Payload that waits for credit or its turn.', () =>
    sumOf((link) => link.stats.queuedBytes),
  );
  gauge('burrow_waiting_requests', 'Requests that wait for an agent to connect.', () =>
    sources.waiting(),
  );
  gauge('burrow_channels_resuming', 'Channels that lost their way and look for another.', () =>
    sources.resuming(),
  );
  gauge('burrow_connections', 'Open client connections.', () => sources.connections());
  gauge('burrow_database_healthy', '1 when the database answers.', () =>
    Number(sources.databaseHealthy()),
  );
  gauge('burrow_ssh_signed_in', 'Connections that are signed in at the SSH gateway.', () =>
    sources.sshSignedIn(),
  );
  gauge('burrow_draining', '1 while the relay shuts down.', () => Number(sources.draining()));
  total('burrow_link_received_bytes_total', 'Payload received over links.', 'bytesIn');
  total('burrow_link_sent_bytes_total', 'Payload sent over links.', 'bytesOut');
  total(
    'burrow_flow_control_stalls_total',
    'Times a channel had bytes to send and no credit.',
    'stalls',
  );

  new Gauge({
    name: 'burrow_link_rtt_seconds',
    help: 'Smoothed round trip over links: what the tunnel itself adds to each exchange.',
    labelNames: ['quantile'],
    registers,
    collect() {
      const samples: number[] = [];
      for (const link of sources.links())
        if (link.stats.rttMs !== undefined) samples.push(link.stats.rttMs);
      samples.sort((a, b) => a - b);
      for (const quantile of [0.5, 0.99, 1]) {
        const at = Math.min(samples.length - 1, Math.floor(samples.length * quantile));
        this.set({ quantile: String(quantile) }, (samples[at] ?? 0) / 1000);
      }
    },
  });

  const counter = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Counter<L> => new Counter({ name, help, registers, labelNames });
  const linksOpened = counter('burrow_links_opened_total', 'Links accepted.', ['transport']);
  const linksClosed = counter('burrow_links_closed_total', 'Links ended, by reason.', ['code']);
  const linksRefused = counter('burrow_links_refused_total', 'Links refused, by reason.', ['code']);
  const channelsOpened = counter('burrow_channels_opened_total', 'Channels opened.');
  const clientLinks = new Gauge({
    name: 'burrow_client_links',
    help: 'Connected links of people’s programs, and WebSockets with SSH.',
    registers,
  });
  const clientLinksOpened = counter(
    'burrow_client_links_opened_total',
    'Links of people’s programs that were accepted.',
    ['transport'],
  );
  const clientLinksClosed = counter(
    'burrow_client_links_closed_total',
    'Links of people’s programs that ended, by reason.',
    ['code'],
  );
  const clientLinksRefused = counter(
    'burrow_client_links_refused_total',
    'Links of people’s programs that were refused, by reason.',
    ['code'],
  );
  const connectionsRefused = counter(
    'burrow_connections_refused_total',
    'Connections closed before a request.',
    ['why'],
  );
  const auditDropped = counter(
    'burrow_audit_dropped_total',
    'Audit events that could not be written and were lost.',
  );
  const request = labelledTally({
    name: 'burrow_http_requests_total',
    help: 'Requests through the gateway, by outcome.',
    label: 'outcome',
    registry,
  });
  const answered = bucketTally({
    name: 'burrow_http_response_seconds',
    help: 'From the request head to the response head: relay, tunnel and app together.',
    buckets: LATENCY_BUCKETS,
    registry,
  });
  const opening = new Histogram({
    name: 'burrow_channel_open_seconds',
    help: "From Open to Opened: a round trip over the link, and the agent's connect to the target.",
    buckets: LATENCY_BUCKETS,
    registers,
  });

  const channelsLost = counter(
    'burrow_channels_lost_total',
    'Channels of this relay’s gateways that lost their way to the agent.',
  );
  const channelsGivenUp = counter(
    'burrow_channels_given_up_total',
    'Of those: no other way was found in time.',
  );
  const resuming = new Histogram({
    name: 'burrow_channel_resume_seconds',
    help: 'From the loss of a channel’s way until it goes on over another.',
    buckets: LATENCY_BUCKETS,
    registers,
  });

  return {
    registry,
    channelLost: () => channelsLost.inc(),
    channelGivenUp: () => channelsGivenUp.inc(),
    channelResumed: (seconds) => resuming.observe(seconds),
    linkOpened: (transport) => linksOpened.inc({ transport }),
    linkClosed(link, code) {
      linksClosed.inc({ code });
      const { stats } = link;
      past.bytesIn += stats.bytesIn;
      past.bytesOut += stats.bytesOut;
      past.stalls += stats.stalls;
    },
    linkRefused: (code) => linksRefused.inc({ code }),
    channelOpened: () => channelsOpened.inc(),
    channelConnected: (seconds) => opening.observe(seconds),
    clients: {
      linkOpened(transport) {
        clientLinks.inc();
        clientLinksOpened.inc({ transport });
      },
      linkClosed(code) {
        clientLinks.dec();
        clientLinksClosed.inc({ code });
      },
      linkRefused: (code) => clientLinksRefused.inc({ code }),
      channelOpened: () => channelsOpened.inc(),
    },
    connectionRefused: (why) => connectionsRefused.inc({ why }),
    auditDropped: (count) => auditDropped.inc(count),
    request,
    answered,
  };
}
