/** For tests of both ends of SSH: OpenSSH's programs as children, and a server that stands for a workload's. */
export { run, type Ran, type RunOptions } from './run.ts';
export { serveCommands, type CommandServerOptions } from './command-server.ts';
