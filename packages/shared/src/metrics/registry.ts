/** The metrics of a program's table as objects of prom-client, beside what it tells of the process (CPU, memory, event loop, garbage collection). */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { MetricRow } from "../base/metric-row.ts";

export type Labels = Readonly<Record<string, string>>;

export type Metrics<Name extends string> = {
  count(name: Name, labels?: Labels, by?: number): void;
  set(name: Name, labels: Labels, value: number): void;
  observe(name: Name, seconds: number, labels?: Labels): void;
  /** Called before each reading: for gauges of what is at hand. */
  onRead(fn: () => void): void;
  readonly contentType: string;
  text(): Promise<string>;
};

export function createMetrics<Name extends string>(table: Readonly<Record<Name, MetricRow>>): Metrics<Name> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, row] of Object.entries<MetricRow>(table)) {
    const common = { name, help: row.help, labelNames: [...(row.labels ?? [])], registers: [registry] };
    if (row.type === "counter") counters.set(name, new Counter(common));
    else if (row.type === "gauge") gauges.set(name, new Gauge(common));
    else histograms.set(name, new Histogram({ ...common, buckets: [...(row.buckets ?? [])] }));
  }
  const readers: (() => void)[] = [];
  return {
    count: (name, labels = {}, by = 1) => counters.get(name)?.inc({ ...labels }, by),
    set: (name, labels, value) => gauges.get(name)?.set({ ...labels }, value),
    observe: (name, seconds, labels = {}) => histograms.get(name)?.observe({ ...labels }, Math.max(0, seconds)),
    onRead: (fn) => void readers.push(fn),
    contentType: registry.contentType,
    text() {
      for (const read of readers) read();
      return registry.metrics();
    },
  };
}
