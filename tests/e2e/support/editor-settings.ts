import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Makes a workspace's VS Code readable for a test: the terminal draws text as
 * elements instead of pixels, and nothing pops up over it.
 */
export async function makeReadable(dataDir: string, workspace: string): Promise<void> {
  const path = join(dataDir, 'workspaces', workspace, 'user-data/User/settings.json');
  const settings = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  const more = {
    'terminal.integrated.gpuAcceleration': 'off',
    'terminal.integrated.suggest.enabled': false,
    'terminal.integrated.enablePersistentSessions': true,
    // An extension that starts late would have a terminal begun again, and what runs in it ended.
    'terminal.integrated.environmentChangesRelaunch': false,
    'editor.autoClosingBrackets': 'never',
    'files.autoSave': 'off',
  };
  await writeFile(path, JSON.stringify({ ...settings, ...more }));
}
