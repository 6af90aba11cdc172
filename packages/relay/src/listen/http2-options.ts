import type { ServerOptions } from 'node:http2';
import { GRPC_SERVER_OPTIONS } from '@burrow/tunnel/grpc';

/**
 * One server takes both links and browsers, as the first bytes do not tell
 * them apart. Windows: a link raises its own once it is accepted; browsers' uploads
 * are held back per stream by the gateway.
 */
export const HTTP2_SERVER_OPTIONS: ServerOptions & {
  streamResetBurst: number;
  streamResetRate: number;
} = {
  ...GRPC_SERVER_OPTIONS,
  settings: {
    ...GRPC_SERVER_OPTIONS.settings,
    // Browsers use about 100; RFC 9113 section 6.5.2 advises no less.
    maxConcurrentStreams: 256,
    // 1 MiB: 100 Mbit/s over a round trip of 80 ms, for a browser's upload.
    initialWindowSize: 1 << 20,
    // RFC 8441: WebSocket over HTTP/2.
    enableConnectProtocol: true,
    // Fits the gateway's own cap on a head.
    maxHeaderListSize: 64 << 10,
    enablePush: false,
  },
  // Frames that break the rules before a session is cut, over its whole life: an
  // editor's session lasts days, and a late frame for a closed stream may count.
  maxSessionInvalidFrames: 1000,
  // Rejected streams before a session is cut (default 100).
  maxSessionRejectedStreams: 100,
  // Settings in one frame; the standard knows fewer than ten.
  maxSettings: 32,
  // Unanswered PINGs of our own.
  maxOutstandingPings: 16,
  // Rapid reset (CVE-2023-44487): 1000 at once, then 100 a second.
  streamResetBurst: 1000,
  streamResetRate: 100,
  // Silent sessions end by our own rules (keepalive of links, idle time of the gateway).
  unknownProtocolTimeout: 10_000,
};
