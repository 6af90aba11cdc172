import { tuneCollector } from '@burrow/tunnel/node';
import { Command, CommanderError, Option } from 'commander';
import { LEAVES } from './config/leaves.ts';
import { loadConfig, type LoadedConfig } from './config/load.ts';
import { printJson, printYaml } from './config/print.ts';
import type { Config } from './config/schema.ts';
import { RelayError } from './errors.ts';
import { KEY_PURPOSES, runKeysCommand, type KeysVerb } from './keys/command.ts';
import type { KeyPurpose } from './keys/tables.ts';
import { censor } from './observe/censor.ts';
import { createLogger } from './observe/logger.ts';
import {
  checkForProcesses,
  configOfProcess,
  PROCESS_NUMBER,
  processCount,
} from './processes/per-process.ts';
import { runProcesses, SERVING } from './processes/run-processes.ts';
import { createRelay } from './relay.ts';
import { VERSION } from './version.ts';

/** 2: the command line or configuration is wrong. 1: anything else failed. */
const EXIT = { failed: 1, badConfig: 2 } as const;

/** Secrets are no flags: arguments are visible to every user of the machine. */
const FLAGS = LEAVES.filter((leaf) => !leaf.secret);

/**
 * `burrow relay …`. Resolves with the exit code. `argv` without node and script.
 */
export async function main(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  let code = 0;
  const program = new Command('burrow relay')
    .description('Run the relay: one port for agents, browsers and the API.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(burrow relay --help lists all options)')
    .action(async (_options: unknown, command: Command) => {
      tuneCollector();
      code = await runAsConfigured(read(command, env), env);
    });
  addSettings(program);
  program
    .command('config')
    .description(
      'Print the effective configuration, with where each value comes from. Secrets are hidden.',
    )
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }, command: Command) => {
      const loaded = read(command.parent ?? command, env);
      process.stdout.write(options.json === true ? printJson(loaded) : printYaml(loaded));
    });
  addKeys(program, env);

  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.badConfig;
    process.stderr.write(`burrow relay: ${explain(error)}\n`);
    return error instanceof RelayError && error.code === 'config-invalid'
      ? EXIT.badConfig
      : EXIT.failed;
  }
}

function addKeys(program: Command, env: NodeJS.ProcessEnv): void {
  const keys = program
    .command('keys')
    .description('The SSH keys that all relays of a cluster share: look at them, replace them.');
  const act = async (
    verb: KeysVerb,
    purpose: KeyPurpose | undefined,
    json: boolean,
  ): Promise<void> => {
    const { config } = read(program, env);
    process.stdout.write(await runKeysCommand(config, verb, purpose, json));
  };
  keys
    .command('list')
    .description('Show the keys, in use and next.')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => act('list', undefined, json === true));
  for (const [verb, description] of [
    ['rotate', 'Make the next key and let it be known beside the one in use.'],
    ['activate', 'Use the next key from now on; the old one is deleted.'],
    ['cancel', 'Delete the next key.'],
  ] as const) {
    keys
      .command(verb)
      .description(description)
      .argument('<key>', KEY_PURPOSES.join(' or '))
      .action((purpose: KeyPurpose) => act(verb, purpose, false));
  }
}

function addSettings(program: Command): void {
  program.option('-c, --config <file>', 'configuration file, YAML or JSON (or BURROW_CONFIG)');
  for (const leaf of FLAGS) {
    const value =
      leaf.type === 'boolean' ? '[on]' : leaf.type === 'list' ? '<a,b,…>' : `<${leaf.type}>`;
    const option = new Option(`${leaf.flag} ${value}`, leaf.description);
    if (leaf.type === 'boolean') option.preset('true');
    program.addOption(option);
  }
}

function read(command: Command, env: NodeJS.ProcessEnv): LoadedConfig {
  const options = command.opts<Record<string, string | undefined>>();
  const flags: Record<string, string> = {};
  for (const leaf of FLAGS) {
    const name = leaf.flag
      .slice(2)
      .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const value = options[name];
    if (value !== undefined) flags[leaf.path] = value;
  }
  return loadConfig({ file: options['config'], env, flags });
}

/** Runs a relay, or the processes of one, of which this may be one. */
async function runAsConfigured({ config }: LoadedConfig, env: NodeJS.ProcessEnv): Promise<number> {
  const number = Number(env[PROCESS_NUMBER] ?? 0);
  if (number > 0) return run(configOfProcess(config, number), true);
  const count = processCount(config);
  if (count === 1) return run(config);
  checkForProcesses(config);
  const log = createLogger(config.log);
  try {
    return await runProcesses({
      count,
      command: process.execPath,
      args: [...process.execArgv, ...process.argv.slice(1)],
      env,
      log: log.logger,
    });
  } finally {
    log.flush();
  }
}

/** `oneOfSeveral`: it tells the process that started it when it serves, and ends with that one. */
async function run(config: Config, oneOfSeveral = false): Promise<number> {
  const relay = await createRelay(config);
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    // The first drains, the second is in a hurry, a third does not wait for anything.
    if (signals > 2) process.exit(EXIT.failed);
    void relay.stop(signals === 1 ? config.drain.graceMs : 0).then(stopped.resolve, stopped.reject);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  if (oneOfSeveral) {
    process.on('disconnect', onSignal);
    // Whoever started it ended while it was made.
    if (!process.connected) return relay.stop(0).then(() => EXIT.failed);
  }
  try {
    await relay.start();
    if (oneOfSeveral) process.send?.(SERVING);
    await stopped.promise;
  } catch (error) {
    if (signals === 0) throw error;
  } finally {
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
    process.removeListener('disconnect', onSignal);
    if (oneOfSeveral && process.connected) process.disconnect();
  }
  return 0;
}

/** A sentence for a person; the stack only for what nobody foresaw. */
function explain(error: unknown): string {
  if (error instanceof RelayError) return censor(error.message);
  return censor(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
