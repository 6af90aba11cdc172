import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { findNodePty } from './node-pty.ts';
import { findPython } from './python.ts';
import { findScript } from './script.ts';
import {
  PTY_KINDS,
  type FindRung,
  type Pty,
  type PtyKind,
  type PtyOptions,
  type PtyUnavailable,
  type Rung,
} from './types.ts';

const RUNGS: Readonly<Record<PtyKind, FindRung>> = {
  'node-pty': findNodePty,
  python: findPython,
  script: findScript,
};

const MAX_SIZE = 65_535;

/**
 * Makes terminals by the first way that works. What was found is remembered;
 * it is looked for again when it stops working. `force` names the only way to
 * try; `none` means that there is to be no terminal.
 */
export class PtyLadder {
  readonly #rungs: Readonly<Record<PtyKind, FindRung>>;
  readonly #force: string | undefined;
  #found: Promise<Rung | string> | undefined;

  constructor(
    force: string | undefined = process.env['BURROW_SSH_PTY'],
    rungs: Readonly<Record<PtyKind, FindRung>> = RUNGS,
  ) {
    this.#rungs = rungs;
    this.#force = force === '' ? undefined : force;
  }

  /** Starts a command in a terminal of its own, as the leader of a session of its own. */
  async start(options: PtyOptions): Promise<Pty | PtyUnavailable> {
    const checked = await check(options);
    for (let attempt = 0; attempt < 2; attempt++) {
      if (options.signal.aborted) return unavailable('the session has ended');
      this.#found ??= this.#find();
      const found = this.#found;
      const rung = await found;
      // Not remembered: it may be installed later.
      if (typeof rung === 'string') {
        if (this.#found === found) this.#found = undefined;
        return unavailable(rung);
      }
      try {
        return guarded(await rung.start(checked));
      } catch {
        if (this.#found === found) this.#found = undefined;
      }
    }
    return unavailable('what makes them stopped working');
  }

  async #find(): Promise<Rung | string> {
    const kinds = PTY_KINDS.filter((kind) => this.#force === undefined || kind === this.#force);
    if (kinds.length === 0) return `they are turned off (BURROW_SSH_PTY=${this.#force})`;
    const reasons: string[] = [];
    // Bounded by each rung's own limits; shared by all sessions, so that none of them ends it.
    const { signal } = new AbortController();
    for (const kind of kinds) {
      const rung = await this.#rungs[kind](signal);
      if (typeof rung !== 'string') return rung;
      reasons.push(rung);
    }
    return `this workload has ${reasons.join(', ')}`;
  }
}

const ladder = new PtyLadder();

/** Starts a command in a terminal, by the way that this workload offers; or says in one sentence why none does. */
export function startPty(options: PtyOptions): Promise<Pty | PtyUnavailable> {
  return ladder.start(options);
}

function unavailable(reason: string): PtyUnavailable {
  return { unavailable: `Terminals are not available here: ${reason}.` };
}

async function check(options: PtyOptions): Promise<PtyOptions> {
  const enterable = await access(options.cwd, constants.X_OK).then(
    () => true,
    () => false,
  );
  return {
    ...options,
    cwd: enterable ? options.cwd : '/',
    cols: size(options.cols, 80),
    rows: size(options.rows, 24),
  };
}

/** Sizes come from the client, at any time. */
function guarded(pty: Pty): Pty {
  return {
    ...pty,
    resize: (cols, rows) => {
      if (cols > 0 && rows > 0) pty.resize(size(cols, 80), size(rows, 24));
    },
  };
}

/** RFC 4254 lets 0 mean "not said". */
function size(value: number, unknown: number): number {
  return Number.isInteger(value) && value > 0 ? Math.min(value, MAX_SIZE) : unknown;
}
