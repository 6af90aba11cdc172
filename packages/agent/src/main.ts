import { tuneCollector } from '@burrow/tunnel/node';
import { startAgent } from './agent.ts';
import { ConfigError, readConfig } from './config/config.ts';
import { helpText } from './config/help.ts';
import type { LogLevel } from './config/settings.ts';
import { EXIT } from './exit-codes.ts';
import { createLog, type Log } from './log.ts';
import { VERSION } from './version.ts';

/** The process: arguments in, agent, signals, exit code out. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) return print(helpText());
  if (argv.includes('--version')) return print(`${VERSION}\n`);

  const config = readConfig(argv, process.env);
  tuneCollector();
  const log = createProcessLog(config.logLevel);
  const agent = startAgent(config, { log });
  let signals = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      signals += 1;
      if (signals === 1) agent.drain(`The agent received ${signal}`);
      else process.exit(EXIT.ok);
    });
  }
  const code = await agent.ended;
  log.info('stop', { code });
  return code;
}

function createProcessLog(level: LogLevel): Log {
  return createLog({
    level,
    pretty: process.stderr.isTTY,
    write: (line) => process.stderr.write(line),
  });
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT.ok;
}

/** Log lines may still be on their way to a pipe: they get a moment, not for ever. */
function exit(code: number): void {
  process.exitCode = code;
  const giveUp = setTimeout(() => process.exit(code), 500);
  process.stderr.write('', () => {
    clearTimeout(giveUp);
    process.exit(code);
  });
}

process.on('uncaughtException', (error) => {
  process.stderr.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: 'error', event: 'fault', message: error.stack ?? String(error) })}\n`,
  );
  exit(EXIT.internal);
});

main(process.argv.slice(2)).then(exit, (error: unknown) => {
  if (!(error instanceof ConfigError)) throw error;
  if (process.stderr.isTTY) process.stderr.write(`burrow-agent: ${error.message}\n`);
  else createProcessLog('error').error('config', { message: error.message });
  exit(EXIT.badConfig);
});
