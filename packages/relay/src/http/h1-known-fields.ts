import type { Client } from '../listen/forwarded.ts';
import type { RequestFields, RequestLine } from './h1-request.ts';
import type { Route } from './route.ts';

/** What byte-identical field lines of one connection share. */
export interface KnownFields {
  readonly text: string;
  readonly version: '1.0' | '1.1';
  readonly fields: RequestFields;
  readonly client: Client;
  /** The last decision made for these fields. */
  route: Route | undefined;
  decidedFor: string;
  policyVersion: number;
}

/** The way that these fields lead to by an earlier decision which still holds. */
export function knownRoute(
  known: KnownFields,
  line: RequestLine,
  policyVersion: number,
): Route | undefined {
  return known.route !== undefined &&
    known.policyVersion === policyVersion &&
    known.decidedFor === methodClass(line.method) &&
    !line.target.startsWith('/.burrow')
    ? known.route
    : undefined;
}

/** `policyVersion`: from before the policy was asked. */
export function rememberRoute(
  known: KnownFields,
  line: RequestLine,
  route: Route,
  policyVersion: number,
): void {
  const { decision } = route;
  known.route = decision.kind === 'app' && decision.reusable === true ? route : undefined;
  known.policyVersion = policyVersion;
  known.decidedFor = methodClass(line.method);
}

/** Policies tell requests apart by class; the upgrade is part of the fields already. */
function methodClass(method: string): string {
  return method === 'GET' || method === 'HEAD'
    ? 'safe'
    : method === 'OPTIONS'
      ? 'options'
      : 'unsafe';
}

/** Safe (RFC 9110 section 9.2.1) and without a body: may be sent twice. */
export function repeatable(method: string, fields: RequestFields): boolean {
  return (
    (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') &&
    fields.length === 0 &&
    fields.upgrade === undefined
  );
}

/**
 * The upgrade that is passed on. `h2c` would change the framing under our feet, and a
 * body leaves no room for it.
 */
export function passedUpgrade(fields: RequestFields): string | undefined {
  if (fields.upgrade === undefined || fields.length !== 0) return undefined;
  return /(^|[\s,])h2c?([\s,]|$)/.test(fields.upgrade) ? undefined : fields.upgrade;
}
