/** How long the runner waits for what, in milliseconds; tests have their own. */

export type Timing = {
  /** For the answer to a request. */
  readonly requestMs: number;
  /** How long the first request is repeated before the cluster counts as unreachable. */
  readonly reachMs: number;
  /** A watch that is silent for longer is begun anew: servers send a bookmark every minute. */
  readonly watchIdleMs: number;
  /** The same of a log, which may well be silent. */
  readonly logIdleMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  /** How often a list is asked for where watching is not allowed. */
  readonly pollMs: number;
  /** How long refused credentials are tried again while a run is followed: tokens are renewed late at times. */
  readonly refusedMs: number;
  /** After the end: for the rest of the logs. */
  readonly drainMs: number;
  /** How often the trace is told anew while lines come in. */
  readonly traceMs: number;
  /** After KILL. */
  readonly killMs: number;
  /** How long a pod or a pull may be stuck when the job does not say. */
  readonly stuckMs: number;
};

export const TIMING: Timing = {
  requestMs: 30_000,
  reachMs: 15_000,
  watchIdleMs: 90_000,
  logIdleMs: 240_000,
  backoff: { firstMs: 500, maxMs: 15_000 },
  pollMs: 5_000,
  refusedMs: 300_000,
  drainMs: 10_000,
  traceMs: 5_000,
  killMs: 4_000,
  stuckMs: 300_000,
};
