import { Counter, type Metric, type Registry } from 'prom-client';

/**
 * Counters for what happens with every request: these add to a number, and are put into
 * prom-client's form when somebody asks. Its own check, copy and hash labels at each call.
 */
export interface TallyOptions {
  readonly name: string;
  readonly help: string;
  readonly registry: Registry;
}

/** A counter with one label of few, fixed values. */
export function labelledTally(options: TallyOptions & { label: string }): (value: string) => void {
  const { name, help, registry, label } = options;
  const counts = new Map<string, number>();
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, count] of counts) this.inc({ [label]: value }, count);
    },
  });
  return (value) => void counts.set(value, (counts.get(value) ?? 0) + 1);
}

/** A histogram without labels. `buckets`: upper bounds, ascending, all of them finite. */
export function bucketTally(
  options: TallyOptions & { buckets: readonly number[] },
): (value: number) => void {
  const { name, help, registry, buckets } = options;
  const counts = new Float64Array(buckets.length + 1);
  let sum = 0;
  const values = () => {
    let count = 0;
    const rows = [...buckets, '+Inf'].map((le, at) => {
      count += counts[at] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    return [
      ...rows,
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
  };
  const metric = {
    name,
    help,
    type: 'histogram',
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: values() }),
    reset: () => {
      counts.fill(0);
      sum = 0;
    },
  };
  // All that a registry asks of its metrics.
  registry.registerMetric(metric as unknown as Metric);
  return (value) => {
    let at = 0;
    while (at < buckets.length && value > (buckets[at] as number)) at += 1;
    counts[at] = (counts[at] as number) + 1;
    sum += value;
  };
}
