import type { TraceEvent } from '@burrow/api';

export type FrameEvent = Extract<TraceEvent, { event: 'frame' }>;

/** What a frame says, in the protocol’s words. Numbers are bytes since the channel was opened. */
export function factsOf(event: FrameEvent): string {
  const { frame, replayed = 0 } = event;
  if (frame === 'Data') {
    const { offset = 0, length = 0 } = event;
    return `${offset} +${length}${replayed > 0 ? `, ${replayed} again` : ''}`;
  }
  const { code, reason = '' } = event;
  if (code !== undefined || reason !== '') return [code, reason].filter(Boolean).join(': ');
  return [
    said('epoch', event.epoch),
    said('at', event.offset),
    said('acked', event.acked),
    said('received', event.received),
    said('limit', event.limit),
    event.ended === true ? 'ended' : '',
    replayed > 0 ? `${replayed} to come again` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function said(what: string, value: number | undefined): string {
  return value === undefined ? '' : `${what} ${value}`;
}
