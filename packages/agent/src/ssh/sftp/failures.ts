import { getSystemErrorMap } from 'node:util';
import { MalformedError, STATUS } from './protocol.ts';

/** A reply other than OK that is nobody's fault. */
export class Failure extends Error {
  readonly code: number;

  /** `sentence` is shown to people. */
  constructor(code: number, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

export const END_OF_FILE = new Failure(STATUS.EOF, 'End of file.');

/** As OpenSSH's sftp-server maps them; everything else is FAILURE. */
const CODES: Readonly<Record<string, number>> = {
  ENOENT: STATUS.NO_SUCH_FILE,
  ENOTDIR: STATUS.NO_SUCH_FILE,
  EBADF: STATUS.NO_SUCH_FILE,
  ELOOP: STATUS.NO_SUCH_FILE,
  EPERM: STATUS.PERMISSION_DENIED,
  EACCES: STATUS.PERMISSION_DENIED,
  EFAULT: STATUS.PERMISSION_DENIED,
  ENAMETOOLONG: STATUS.BAD_MESSAGE,
  EINVAL: STATUS.BAD_MESSAGE,
  ENOSYS: STATUS.OP_UNSUPPORTED,
};

const sentences = new Map([...getSystemErrorMap().values()].map(([code, text]) => [code, text]));

/** The status code and sentence for whatever went wrong. */
export function describeFailure(error: unknown): { code: number; sentence: string } {
  if (error instanceof Failure) return { code: error.code, sentence: error.message };
  if (error instanceof MalformedError) return { code: STATUS.BAD_MESSAGE, sentence: error.message };
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_OUT_OF_RANGE') {
    return { code: STATUS.BAD_MESSAGE, sentence: 'A name or number in the request is not valid.' };
  }
  const text = sentences.get(code);
  const sentence =
    text === undefined
      ? 'The operation failed.'
      : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  return { code: CODES[code] ?? STATUS.FAILURE, sentence };
}
