import { rmSync, writeFileSync } from 'node:fs';
import { createWorkspaceSchema, type AgentEnvironment, type CreatedWorkspace } from '@burrow/api';
import { writeWhole } from '../atomic-write.ts';
import { CliError, EXIT } from '../cli-error.ts';
import type { CreateOptions } from '../commands/create.ts';
import { print, printJson, tell } from '../output.ts';
import { apiOf, explained } from '../relay/api.ts';
import { readSettings } from '../settings/settings.ts';

/** Makes an external workspace. Rejects with CliError; then nothing is made, and no file has changed. */
export async function createWorkspace(
  name: string | undefined,
  { writeEnv: envFile, json }: CreateOptions,
): Promise<void> {
  const wanted = createWorkspaceSchema.safeParse({ name, driver: 'external' });
  if (!wanted.success) {
    throw new CliError(`The name ${wanted.error.issues[0]?.message ?? 'is none'}.`, EXIT.usage);
  }
  const api = apiOf(readSettings());
  if (envFile !== undefined) claim(envFile);
  let created: CreatedWorkspace;
  try {
    created = await explained(api.workspaces.create(wanted.data));
  } catch (error) {
    if (envFile !== undefined) rmSync(envFile, { force: true });
    throw error;
  }
  const { environment } = created;
  if (environment === undefined) throw new CliError('The relay gave no environment for the agent.');
  if (envFile !== undefined) writeWhole(envFile, asFile(environment), 0o600);
  if (json === true) return printJson(created);
  for (const line of howToStart(created, environment, envFile)) print(line);
  if (envFile === undefined)
    tell('\nThe token is shown once. It is good for this workspace alone.');
}

/** One that is there may hold the only copy of another agent's token. */
function claim(file: string): void {
  try {
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CliError(
      exists
        ? `${file} exists already: name another file, or remove it first.`
        : `Cannot write ${file}: ${(cause as Error).message}`,
      exists ? EXIT.usage : EXIT.failed,
      { cause },
    );
  }
}

/** As `node --env-file` and systemd read it. */
function asFile(environment: AgentEnvironment): string {
  return Object.entries(environment)
    .map(([variable, value]) => `${variable}=${value}\n`)
    .join('');
}

function howToStart(
  { name, url }: CreatedWorkspace,
  environment: AgentEnvironment,
  envFile: string | undefined,
): string[] {
  const file = new URL('/burrow-agent.mjs', environment.BURROW_RELAY_URL).href;
  const start =
    envFile === undefined
      ? [
          ...Object.entries(environment).map(([variable, value]) => `export ${variable}=${value}`),
          'node burrow-agent.mjs',
        ]
      : [`node --env-file=${envFile} burrow-agent.mjs`];
  const ofPort = url.replace('://', '://<port>-');
  return [
    `The workspace “${name}” is made. Wherever its workload is, with Node 20 or newer:`,
    '',
    ...[`curl -fsSO ${file}`, ...start].map((line) => `  ${line}`),
    '',
    'Then:',
    '',
    `  burrow ssh ${name}`,
    `  ${ofPort}   any port of it`,
  ];
}
