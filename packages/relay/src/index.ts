export { loadConfig, type LoadedConfig, type LoadInput } from './config/load.ts';
export type { Config, ConfigInput } from './config/schema.ts';
export { RelayError } from './errors.ts';
export { createLogger } from './observe/logger.ts';
export { createRelay, type Relay, type RelayOverrides } from './relay.ts';
export { VERSION } from './version.ts';
