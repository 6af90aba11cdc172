export { CHANNEL_ERROR_CODES, LINK_ERROR_CODES, TunnelError } from './errors.ts';
export type { ChannelErrorCode, LinkErrorCode, TunnelErrorCode } from './errors.ts';
export * from './limits.ts';
export { joinChannel, resumeChannel, type JoinEvents, type Joined } from './link/switch.ts';
export { ChannelKeeper } from './link/keeper.ts';
export { createResumer, type ChannelResumer, type ResumerOptions } from './link/resumer.ts';
export { greetAsAcceptor, greetAsDialler } from './link/handshake.ts';
export type { Transport, TransportHandler } from './transport.ts';
export type * from './types.ts';
