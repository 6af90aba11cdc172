/**
 * Tells a person what is going on. On a terminal a spinner with the seconds so
 * far; elsewhere one plain line at the start, one each 15 s, and one at the end.
 * Everything goes to stderr, so that stdout holds results only.
 */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const PLAIN_EVERY_MS = 15_000;

/** @param {number} ms */
export function seconds(ms) {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/**
 * Starts a step.
 * @param {string} label what is being done, e.g. "Installing packages"
 * @param {{ stream?: NodeJS.WriteStream }} [options]
 */
export function step(label, { stream = process.stderr } = {}) {
  const began = Date.now();
  let frame = 0;
  let detail = '';
  const elapsed = () => seconds(Date.now() - began);
  const suffix = () => (detail === '' ? '' : ` (${detail})`);
  const draw = () => {
    const text = `${FRAMES[frame++ % FRAMES.length]} ${label}${suffix()} ${elapsed()}`;
    stream.write(`\r\u001b[K${text.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  };
  const plain = () => stream.write(`  ${label}: still at it after ${elapsed()}${suffix()}\n`);
  if (!stream.isTTY) stream.write(`  ${label} …\n`);
  const timer = setInterval(stream.isTTY ? draw : plain, stream.isTTY ? 100 : PLAIN_EVERY_MS);
  timer.unref();
  let over = false;
  const finish = (mark, text) => {
    if (over) return;
    over = true;
    clearInterval(timer);
    stream.write(`${stream.isTTY ? '\r\u001b[K' : ''}${mark} ${text}\n`);
  };
  return {
    /** @param {string} text shown beside the label */
    update(text) {
      detail = text;
    },
    /** @param {string} [text] replaces the label in the last line */
    done(text = label) {
      finish('✓', `${text} in ${elapsed()}`);
    },
    /** @param {string} [text] */
    fail(text = label) {
      finish('✗', `${text} failed after ${elapsed()}`);
    },
    /** Ends the step without a word. */
    clear() {
      if (over) return;
      over = true;
      clearInterval(timer);
      if (stream.isTTY) stream.write('\r\u001b[K');
    },
  };
}
