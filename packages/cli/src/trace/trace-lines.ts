import { styleText } from 'node:util';
import type { TraceEvent } from '@burrow/api';
import { plainText } from '../plain-text.ts';
import { factsOf } from './facts.ts';

type Colour = Parameters<typeof styleText>[0];

/** What stands in a line, from left to right: `21:04:11.201  relay-1  → agent  Data  0 +512`. */
interface Parts {
  readonly arrow?: '→' | '←';
  readonly with?: string;
  readonly what: string;
  readonly facts: string;
  readonly colour?: Colour;
}

const BACK: Parts = { what: 'back', facts: 'The relay answers.', colour: 'green' };

const FRAME_COLOURS: Readonly<Record<string, Colour>> = {
  Data: 'dim',
  Credit: 'dim',
  Reset: 'red',
  Resume: 'cyan',
  Resumed: 'cyan',
  Detached: 'yellow',
};

/** Events as lines for a person. Columns grow with what comes, and never shrink. */
export class TraceLines {
  readonly #colours: boolean;
  readonly #widths: number[] = [0, 0, 8];
  /** Relays that do not answer. */
  readonly #away = new Set<string>();

  constructor({ colours }: { readonly colours: boolean }) {
    this.#colours = colours;
  }

  /** Makes room for what is printed later: lines before it stand in the same columns. */
  expect(event: TraceEvent): void {
    for (const parts of partsOf(event)) {
      cellsOf(event, parts).forEach((cell, i) => {
        this.#widths[i] = Math.max(this.#widths[i] ?? 0, cell.length);
      });
    }
  }

  /** Whole lines; empty: the event is of no interest to a person. */
  of(event: TraceEvent): string {
    this.expect(event);
    const back = event.event === 'watching' && this.#away.delete(event.relay);
    if (event.event === 'away') this.#away.add(event.relay);
    return [...(back ? [BACK] : []), ...partsOf(event)]
      .map((parts) => this.#line(event, parts))
      .join('');
  }

  #line(event: TraceEvent, parts: Parts): string {
    const cells = cellsOf(event, parts).map((cell, i) => cell.padEnd(this.#widths[i] ?? 0));
    const text = [timeOf(event.at), ...cells, plainText(parts.facts)].join('  ').trimEnd();
    if (!this.#colours || parts.colour === undefined) return `${text}\n`;
    return `${styleText(parts.colour, text, { validateStream: false })}\n`;
  }
}

/** What stands in columns. */
function cellsOf({ relay }: TraceEvent, { arrow, with: far = '', what }: Parts): string[] {
  return [relay, `${arrow ?? ' '} ${far}`, what].map(plainText);
}

function partsOf(event: TraceEvent): Parts[] {
  switch (event.event) {
    case 'watching':
      return event.attachments.map(
        ({ link, with: far, epoch, state, bytesToWorkload, bytesToUser }) => ({
          with: far,
          what: 'here',
          facts: `${state}, epoch ${epoch}, link ${link}, ${bytesToWorkload} to the workload, ${bytesToUser} to the user`,
          colour: 'green',
        }),
      );
    case 'attached': {
      const { with: far, link, epoch } = event;
      return [
        { with: far, what: 'attached', facts: `epoch ${epoch}, link ${link}`, colour: 'green' },
      ];
    }
    case 'detached': {
      const { with: far, code, reason } = event;
      const facts = code === null ? reason : `${code}: ${reason}`;
      return [{ with: far, what: 'detached', facts, colour: 'yellow' }];
    }
    case 'frame': {
      const { direction, with: far, frame } = event;
      const colour = FRAME_COLOURS[frame];
      return [
        {
          arrow: direction === 'sent' ? '→' : '←',
          with: far,
          what: frame,
          facts: factsOf(event),
          ...(colour === undefined ? {} : { colour }),
        },
      ];
    }
    case 'lost':
      return [
        {
          what: 'lost',
          facts: `${event.count} events came too fast to be shown`,
          colour: 'yellow',
        },
      ];
    case 'away':
      return [{ what: 'away', facts: event.reason, colour: 'yellow' }];
    case 'renamed':
      return [{ what: 'renamed', facts: `it goes on as ${event.id}`, colour: 'cyan' }];
    case 'over': {
      const { code, reason } = event;
      const facts = code === null ? reason : `${code}: ${reason}`;
      return [{ what: 'over', facts, colour: code === null ? 'green' : 'red' }];
    }
    case 'end':
      return [{ what: 'end', facts: event.reason, colour: 'red' }];
    default:
      // Of a later relay.
      return [];
  }
}

/** By this machine's time zone: `21:04:11.201`. */
function timeOf(at: string): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
