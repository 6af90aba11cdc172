import { access, constants } from 'node:fs/promises';

/** The first that can be entered; `/` when none can. */
export async function firstFolder(...folders: readonly (string | undefined)[]): Promise<string> {
  for (const folder of folders) {
    if (folder === undefined) continue;
    const enterable = await access(folder, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (enterable) return folder;
  }
  return '/';
}
