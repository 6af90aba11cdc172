/** The REST contract of the relay. Safe in browsers. */
export * from './api-error.ts';
export * from './audit.ts';
export * from './channel.ts';
export * from './cluster.ts';
export { createClient, type CallOptions, type Client, type ClientOptions } from './client.ts';
export * from './error.ts';
export * from './port.ts';
export * from './ssh-certificate.ts';
export * from './ssh-key.ts';
export * from './trace.ts';
export * from './user.ts';
export * from './workspace.ts';
