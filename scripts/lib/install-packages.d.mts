export function installedMatchesLock(root: string): boolean;
export function installPackages(root: string, signal?: AbortSignal): Promise<void>;
