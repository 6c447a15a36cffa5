/** Exponential back-off with full-half jitter: the wait before attempt `attempt` (1 = after the first failure), in [half, full]. */
import type { Random } from "./random.ts";

export type BackoffOptions = { readonly firstMs: number; readonly maxMs: number };

export function backoffMs(deps: { random: Pick<Random, "next"> }, options: BackoffOptions, attempt: number): number {
  const full = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + deps.random.next() / 2);
}
