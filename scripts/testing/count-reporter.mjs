/** Reporter of node:test: the totals of a whole run, as one line of JSON. */
// oxlint-disable-next-line import/no-default-export -- what node:test asks for
export default async function* countReporter(source) {
  let total;
  for await (const { type, data } of source) {
    // One summary comes for each file; the one of the run names no file.
    if (type === 'test:summary' && data.file === undefined) total = data.counts;
  }
  if (total !== undefined) yield `${JSON.stringify(total)}\n`;
}
