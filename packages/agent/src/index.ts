export { startAgent, type Agent, type AgentParts } from './agent.ts';
export { ConfigError, readConfig, type AgentConfig } from './config/config.ts';
export { EXIT, type ExitCode } from './exit-codes.ts';
export { createLog, type Log } from './log.ts';
export { VERSION } from './version.ts';
