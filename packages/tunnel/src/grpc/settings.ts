import type { ClientSessionOptions, Http2Session, ServerOptions, Settings } from 'node:http2';

/**
 * HTTP/2 has a flow control of its own, 64 KiB wide by default. Channels have
 * theirs, so a link opens HTTP/2's as far as it goes: two windows over one
 * another would throttle each other. Nothing is stored because of it: the
 * link's reader never pauses, and channels' credits bound what may arrive.
 */
export const LINK_WINDOW_BYTES = 2 ** 31 - 1;

/** An HTTP/2 frame's payload (nghttp2 sends at most 16 KiB whatever the peer allows). */
const MAX_FRAME_SIZE = 64 * 1024;
const SESSION_MEMORY_MB = 64;

export const LINK_SETTINGS: Settings = {
  initialWindowSize: LINK_WINDOW_BYTES,
  maxFrameSize: MAX_FRAME_SIZE,
  headerTableSize: 0,
  enablePush: false,
};

export const GRPC_CLIENT_OPTIONS: ClientSessionOptions = {
  settings: LINK_SETTINGS,
  maxSessionMemory: SESSION_MEMORY_MB,
};

/** For the HTTP/2 server that accepts links. Browsers share it: windows stay modest until a link is accepted. */
export const GRPC_SERVER_OPTIONS: ServerOptions = {
  maxSessionMemory: SESSION_MEMORY_MB,
  settings: { maxFrameSize: MAX_FRAME_SIZE, initialWindowSize: 1024 * 1024 },
};

export function widen(session: Http2Session): void {
  session.setLocalWindowSize(LINK_WINDOW_BYTES);
}

/** A session that carries a link carries nothing else. */
export function dedicate(session: Http2Session): void {
  session.settings({ initialWindowSize: LINK_WINDOW_BYTES, maxConcurrentStreams: 1 });
  widen(session);
}
