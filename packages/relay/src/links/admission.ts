import type { AcceptedLink, AcceptOptions, TunnelError } from '@burrow/tunnel';
import { ACCESS_TOKEN_PREFIX } from '../auth/secrets.ts';

export type Transport = 'grpc' | 'websocket';

export interface LinkOrigin {
  readonly remoteAddress: string;
  /** The name that was dialled without TLS, over a network; undefined: nobody on the way can read the link. */
  readonly plaintextHost: string | undefined;
}

/** Where a link comes from, and how to accept it: `acceptGrpc` or `acceptWebSocket` with its stream bound. */
export interface Incoming extends LinkOrigin {
  readonly transport: Transport;
  readonly token: string | undefined;
  readonly accept: (options: AcceptOptions) => Promise<AcceptedLink | undefined>;
}

/** A room that lets links in. */
export interface Admission {
  /** Admits one link. Resolves with the reason when it is refused before it was accepted; the caller tells the peer. */
  admit(incoming: Incoming): Promise<TunnelError | undefined>;
}

/** People and agents dial alike: the kind of their token tells them apart. Whatever else comes goes to the agents' room. */
export function admissionByToken(rooms: { agents: Admission; people: Admission }): Admission {
  return {
    admit: (incoming) =>
      (incoming.token?.startsWith(ACCESS_TOKEN_PREFIX) === true
        ? rooms.people
        : rooms.agents
      ).admit(incoming),
  };
}
