const LEVELS: Readonly<Record<number, readonly [name: string, colour: number]>> = {
  10: ['trace', 90],
  20: ['debug', 90],
  30: ['info', 32],
  40: ['warn', 33],
  50: ['error', 31],
  60: ['fatal', 31],
};
const HIDDEN = new Set(['level', 'time', 'msg', 'name']);

/** One JSON log line as a line for a person. What is not JSON passes as it is. */
export function prettyLine(line: string, colours: boolean): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const paint = (code: number, text: string): string =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text;
  const [level, colour] = LEVELS[Number(record['level'])] ?? ['log', 0];
  const time = new Date(Number(record['time'])).toTimeString().slice(0, 8);
  const fields = Object.entries(record)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => `${paint(90, `${key}=`)}${show(value)}`);
  return `${paint(90, time)} ${paint(colour, level.padEnd(5))} ${plain(typeof record['msg'] === 'string' ? record['msg'] : '')}${fields.length === 0 ? '' : ` ${fields.join(' ')}`}\n`;
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** Control characters of a message must not reach the terminal. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}
