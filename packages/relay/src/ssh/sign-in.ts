import { fingerprintOf, isSigned, sendBanner } from '@burrow/ssh';
import type {
  AuthContext,
  Connection,
  KeyboardAuthContext,
  PasswordAuthContext,
  PublicKeyAuthContext,
} from 'ssh2';
import type { Origin, SignedIn, SshAuthority } from './authority.ts';
import { SSH_LIMITS } from './limits.ts';
import { SENTENCES } from './sentences.ts';

const METHODS: ('publickey' | 'keyboard-interactive' | 'password')[] = [
  'publickey',
  'keyboard-interactive',
  'password',
];

export interface SignInDeps {
  readonly authority: SshAuthority;
  readonly origin: (username: string) => Origin;
  readonly keysUrl: string;
  /** More time, since the person was sent to a browser. */
  readonly extend: (ms: number) => void;
  /** Signed in, not told yet: resolves when the client may know, rejects to turn it away with a sentence. */
  readonly proceed: (person: SignedIn, username: string) => Promise<void>;
  /** Ends the connection with a sentence. */
  readonly turnAway: (sentence: string) => void;
}

/** Answers the tries of one connection to sign in, one after the other. */
export function handleSignIn(connection: Connection, deps: SignInDeps): void {
  const { authority } = deps;
  let refused = 0;
  let told = false;
  let decided = false;
  const unknown = new Set<string>();
  let asked = '';

  connection.on('authentication', (context) => {
    void answer(context).catch((error: Error) => {
      deps.turnAway(`The relay cannot check who you are right now: ${error.message}`);
    });
  });

  // Each key alone says nothing: clients offer all they have. That none was known does.
  connection.once('close', () => {
    const [first] = unknown;
    if (decided || first === undefined) return;
    const more = unknown.size === 1 ? '' : ` and ${unknown.size - 1} more`;
    const origin = deps.origin(asked);
    const why = `unknown key ${first}${more}, ${origin.software}`;
    void authority.turnedAway(origin, why).catch(() => {});
  });

  async function answer(context: AuthContext): Promise<void> {
    asked = context.username;
    if (decided) return context.reject();
    if (context.method === 'publickey') return byKey(context);
    if (context.method === 'password') return byPassword(context);
    if (context.method === 'keyboard-interactive') return byBrowser(context);
    // What clients begin with, to learn the methods: costs no try.
    return context.reject(METHODS);
  }

  async function byKey(context: PublicKeyAuthContext): Promise<void> {
    const fingerprint = fingerprintOf(context.key.data);
    if (context.signature === undefined) {
      if (await authority.knowsKey(fingerprint)) return context.accept();
      unknown.add(fingerprint);
      return refuse(context);
    }
    if (!isSigned(context)) {
      unknown.add(fingerprint);
      return refuse(context);
    }
    return finish(context, { kind: 'key', fingerprint });
  }

  async function byPassword(context: PasswordAuthContext): Promise<void> {
    return finish(context, { kind: 'token', token: context.password });
  }

  async function byBrowser(context: KeyboardAuthContext): Promise<void> {
    const begun = await authority.beginApproval(deps.origin(context.username));
    if (begun === undefined) return refuse(context);
    deps.extend(SSH_LIMITS.browserMs);
    const answers = await new Promise<readonly string[] | undefined>((resolve) => {
      connection.once('close', () => resolve(undefined));
      context.prompt(
        [{ prompt: 'Press Enter once approved, or paste an access token: ', echo: false }],
        'Burrow',
        SENTENCES.approve(begun.url, begun.userCode),
        (given: readonly string[] | Error) => resolve(given instanceof Error ? undefined : given),
      );
    });
    if (answers === undefined) return;
    const typed = answers[0]?.trim() ?? '';
    if (typed !== '') return finish(context, { kind: 'token', token: typed });
    if (await authority.awaitApproval(begun.approval)) {
      return finish(context, { kind: 'approval', approval: begun.approval });
    }
    say(SENTENCES.notApproved);
    return refuse(context);
  }

  async function finish(
    context: AuthContext,
    proof: Parameters<SshAuthority['signIn']>[0],
  ): Promise<void> {
    const person = await authority.signIn(proof, deps.origin(context.username));
    if (person === undefined) return refuse(context);
    if ('wait' in person) return deps.turnAway(SENTENCES.tooMany(person.wait));
    decided = true;
    try {
      await deps.proceed(person, context.username);
    } catch (error) {
      return deps.turnAway((error as Error).message);
    }
    context.accept();
  }

  function refuse(context: AuthContext): void {
    refused += 1;
    if (refused > SSH_LIMITS.tries) return deps.turnAway(SENTENCES.tooManyTries);
    // Once, and the same whatever was wrong: it tells nobody what exists.
    if (!told && context.method !== 'publickey') {
      told = true;
      say(SENTENCES.notSignedIn(deps.keysUrl));
    }
    context.reject(METHODS);
  }

  function say(sentence: string): void {
    sendBanner(connection, sentence);
  }
}
