import type { ReadStream } from 'node:tty';
import { CliError, EXIT } from '../cli-error.ts';

/** A token has 54 characters. */
const MAX_BYTES = 4096;

/** A secret from a hidden prompt, or, when standard input is no terminal, from there. */
export async function askToken(prompt: string): Promise<string> {
  const { stdin } = process;
  const text = stdin.isTTY ? await fromTerminal(stdin, prompt) : await fromPipe(stdin);
  const token = text.trim();
  if (token !== '') return token;
  throw new CliError('No token was given.', EXIT.usage);
}

async function fromPipe(input: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of input.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > MAX_BYTES) throw new CliError('This is too long for a token.', EXIT.usage);
  }
  return text;
}

function fromTerminal(terminal: ReadStream, prompt: string): Promise<string> {
  process.stderr.write(prompt);
  terminal.setRawMode(true);
  terminal.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (then: () => void): void => {
      terminal.off('data', onData).off('end', onEnd);
      terminal.setRawMode(false);
      terminal.pause();
      process.stderr.write('\n');
      then();
    };
    const stop = (): void =>
      settle(() => reject(new CliError('Given up: nothing was changed.', EXIT.usage)));
    const onEnd = (): void => stop();
    const onData = (typed: string): void => {
      for (const key of typed) {
        if (key === '\r' || key === '\n') return settle(() => resolve(text));
        // Ctrl-C and Ctrl-D
        if (key === '\u0003' || key === '\u0004') return stop();
        if (key === '\u007f' || key === '\b') text = text.slice(0, -1);
        // Ctrl-U
        else if (key === '\u0015') text = '';
        else if (key >= ' ' && text.length < MAX_BYTES) text += key;
      }
    };
    terminal.on('data', onData).on('end', onEnd);
  });
}
