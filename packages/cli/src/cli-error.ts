/** How `burrow` ends; `docs/cli.md` lists them. `burrow ssh` ends as `ssh` does. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** No token, or one that is not good. */
  notSignedIn: 3,
  /** No such workspace or key, or it is not yours. */
  notFound: 4,
  /** The relay, or the workspace behind it, cannot be reached now. */
  unreachable: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What went wrong, who did it and what to do: `message` is for a person. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failed, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
