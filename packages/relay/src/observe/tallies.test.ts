import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Histogram, Registry } from 'prom-client';
import { bucketTally, labelledTally } from './tallies.ts';

const BUCKETS = [0.00005, 0.001, 0.25, 5];
const VALUES = [0, 0.00005, 0.0009, 0.001, 0.0011, 0.3, 5, 5.1, 70];

test('a tally of buckets is scraped as a histogram of prom-client’s is', async () => {
  const given = { name: 'seconds', help: 'How long "it" took.' };
  const theirs = new Registry();
  const histogram = new Histogram({ ...given, buckets: BUCKETS, registers: [theirs] });
  const ours = new Registry();
  const observe = bucketTally({ ...given, buckets: BUCKETS, registry: ours });
  assert.equal(await ours.metrics(), await theirs.metrics(), 'before the first value');
  for (const value of VALUES) {
    histogram.observe(value);
    observe(value);
  }
  assert.equal(await ours.metrics(), await theirs.metrics());
  assert.equal(await ours.metrics(), await theirs.metrics(), 'asked twice');
});

test('a tally with a label is scraped as a counter of prom-client’s is', async () => {
  const given = { name: 'requests_total', help: 'Requests.' };
  const theirs = new Registry();
  const counter = new Counter({ ...given, labelNames: ['outcome'], registers: [theirs] });
  const ours = new Registry();
  const count = labelledTally({ ...given, label: 'outcome', registry: ours });
  assert.equal(await ours.metrics(), await theirs.metrics(), 'before the first');
  for (const outcome of ['app', 'local', 'app']) {
    counter.inc({ outcome });
    count(outcome);
  }
  assert.equal(await ours.metrics(), await theirs.metrics());
  assert.equal(await ours.metrics(), await theirs.metrics(), 'asked twice');
});
