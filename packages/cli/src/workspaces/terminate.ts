import { createInterface } from 'node:readline/promises';
import { CliError, EXIT } from '../cli-error.ts';
import type { TerminateOptions } from '../commands/terminate.ts';
import { tell } from '../output.ts';
import { apiOf, explained } from '../relay/api.ts';
import { readSettings } from '../settings/settings.ts';

/** Asks on a terminal; without one `yes` is needed. Rejects with CliError. */
export async function terminateWorkspace(name: string, { yes }: TerminateOptions): Promise<void> {
  const { workspaces } = apiOf(readSettings());
  // What there is not needs no question.
  await explained(workspaces.show(name));
  if (yes !== true) await agreed(name);
  await explained(workspaces.terminate(name));
  tell(`The workspace “${name}” has ended.`);
}

async function agreed(name: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new CliError(
      `Nobody can be asked here: say \`burrow terminate ${name} --yes\`.`,
      EXIT.usage,
    );
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(
      `End the workspace “${name}” and all that is open in it? [y/N] `,
    );
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was changed.', EXIT.usage);
  } finally {
    asking.close();
  }
}
