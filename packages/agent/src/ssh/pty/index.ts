export { endSession, GRACE_MS, signalGroup, signalName } from './end-session.ts';
export { PtyLadder, startPty } from './ladder.ts';
export type {
  Pty,
  PtyCommand,
  PtyExit,
  PtyKind,
  PtyModes,
  PtyOptions,
  PtyUnavailable,
} from './types.ts';
