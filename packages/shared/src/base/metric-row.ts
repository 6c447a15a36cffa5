/** One metric as a row of a table: what a program makes its metrics from, and docs/metrics.md. Units are in the names, as Prometheus wants them. */
export type MetricRow = {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** None has a job, a pipeline or an execution among its values: their number would grow with the fleet. */
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram, in seconds. */
  readonly buckets?: readonly number[];
};
