export function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options?: { onWait?: (pid: number | undefined) => void },
): Promise<T>;
