/** The words of the benchmark: systems, scenarios and their results. */
import type { Burrow } from './systems/burrow.ts';
import type { SshServer } from './systems/ssh.ts';
import type { SshLoad } from './systems/ssh-load.ts';
import type { SshWays } from './systems/ssh-ways.ts';
import type { TwoRelays } from './systems/two-relays.ts';
import type { Workload } from './systems/workload.ts';

export const SYSTEM_NAMES = ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'] as const;
export type SystemName = (typeof SYSTEM_NAMES)[number];

/** What stands behind every system: a small HTTP server (nginx), or a WebSocket echo. */
export type Upstream = 'http' | 'echo';

/** How to reach an upstream through a system: always plain HTTP/1.1 on 127.0.0.1. */
export interface Endpoint {
  readonly port: number;
  /** To send with each request: `Host` always, and credentials where the system wants them. */
  readonly headers: Readonly<Record<string, string>>;
}

/** One way from a client to the upstreams. */
export interface System {
  endpoint(upstream: Upstream): Endpoint;
}

/** Where a run's systems come from; each is started when first asked for, and stopped at the end. */
export interface Stand {
  system(name: SystemName): Promise<System>;
  /** The same, with the slow line between the workload's side and the server that users reach. */
  slowSystem(name: SystemName): Promise<System>;
  /** For scenarios that start links or agents of their own. */
  burrow(): Promise<Burrow>;
  /** One agent and two relays, of which it is linked to one. */
  twoRelays(): Promise<TwoRelays>;
  sshServer(): Promise<SshServer>;
  /** Ways to an SSH server of this machine's user. */
  sshWays(): Promise<SshWays>;
  /** What is moved over them. */
  readonly sshLoad: SshLoad;
  /** False: nobody asked for this result. */
  wanted(result: string): boolean;
  readonly workload: Workload;
  /** A local file of TRANSFER_BYTES, to upload. */
  readonly file: string;
  /** An empty directory of this run; in memory where the machine has /dev/shm. */
  readonly directory: string;
  readonly seconds: number;
}

/** An error stands for the one result that could not be had; the others still tell something. */
export type Outcome = number | Error;

export interface Scenario {
  /** Result names with their units. One scenario may give several. */
  readonly results: Readonly<Record<string, string>>;
  readonly systems: readonly SystemName[];
  /** One unmeasured round first: what counts is a server at work, not one whose code is still being compiled. */
  readonly warmUp?: boolean;
  /** One round for one system: a number per result. */
  run(stand: Stand, system: SystemName): Promise<Readonly<Record<string, Outcome>>>;
}

export type Row = { unit: string } & { [system in SystemName]?: number };
export type Report = Record<string, Row>;
