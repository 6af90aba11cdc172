import { randomBytes } from 'node:crypto';
import type { AuditAction, AuditOutcome } from '@burrow/api';
import type { Principal } from '../auth/principal.ts';
import { censor } from '../observe/censor.ts';
import type { AuditEventRow } from './tables.ts';

/** What happened. Texts may come from anybody: they are cut to 300 characters, control characters become blanks. */
export interface AuditEvent {
  /** ms since the epoch; default: now. */
  readonly at?: number | undefined;
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  readonly userId?: string | undefined;
  readonly username?: string | undefined;
  readonly workspace?: string | undefined;
  /** IP address of the client. */
  readonly address?: string | undefined;
  /** Tells SSH connections apart. */
  readonly channel?: string | undefined;
  /** Short, for a person. Never a secret. */
  readonly detail?: string | undefined;
}

/** Who does it: a person, and where the request came from when there was one. */
export interface Actor extends Principal {
  readonly address?: string;
}

/** The part of an event that says who. */
export function by(actor: Actor): Pick<AuditEvent, 'userId' | 'username' | 'address'> {
  return { userId: actor.userId, username: actor.username, address: actor.address };
}

const LONGEST = 300;
/** Digits of `at` in an id: until the year 10889. */
const TIME_DIGITS = 12;

/** Ids made in this process keep their order, also within a millisecond. */
let sequence = 0;

export function rowOf(event: AuditEvent, now: number): AuditEventRow {
  const at = event.at ?? now;
  sequence = (sequence + 1) % 0x1_0000_0000;
  return {
    id: timePart(at) + sequence.toString(16).padStart(8, '0') + randomBytes(4).toString('hex'),
    at,
    action: event.action,
    outcome: event.outcome,
    user_id: plain(event.userId),
    username: plain(event.username),
    workspace: plain(event.workspace),
    address: plain(event.address),
    channel: plain(event.channel),
    detail: plain(event.detail) ?? '',
  };
}

/** Every id made before `at` sorts below it. */
export function timePart(at: number): string {
  return Math.max(0, Math.floor(at)).toString(16).padStart(TIME_DIGITS, '0');
}

function plain(text: string | undefined): string | null {
  if (text === undefined) return null;
  // oxlint-disable-next-line no-control-regex -- they must not reach a terminal that shows the list
  return censor(text.slice(0, LONGEST)).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
}
