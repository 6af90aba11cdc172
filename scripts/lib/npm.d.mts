export function cleanEnvironment(env?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
export function npm(
  args: readonly string[],
  options: { readonly cwd: string; readonly signal?: AbortSignal },
): Promise<void>;
