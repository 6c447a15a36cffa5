/** The log orders that this agent carries out now: begun when an order appears, ended when its key is gone or all is shown. */
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { LogOrder } from "fleetcron-shared/model/facts";
import { type ChunkDeps, createBudget, createChunkLeases, createChunkWriter } from "./chunk-writer.ts";
import { type ShowDeps, showLog } from "./show-log.ts";

export type Showings = {
  begin(order: LogOrder): void;
  /** Nobody wants it any more; does nothing for an order that is none of ours. */
  end(orderId: string): void;
  close(): Promise<void>;
};

/** `bytesPerSecond`: what all readers together may put into etcd. */
export function openShowings(deps: ChunkDeps & Omit<ShowDeps, "budget"> & { readonly log: Log }, bytesPerSecond: number): Showings {
  const budget = createBudget(deps.clock, bytesPerSecond);
  const leases = createChunkLeases(deps);
  const active = new Map<string, { stop: AbortController; done: Promise<void> }>();
  return {
    begin(order) {
      if (active.has(order.id)) return;
      const stop = new AbortController();
      const put = createChunkWriter({ ...deps, leases, budget }, order, stop.signal);
      const done = showLog({ ...deps, budget }, order, put, stop.signal)
        .catch((thrown: unknown) => deps.log.warn({ execution: order.execution, error: asError(thrown).message }, "cannot show a log"))
        .finally(() => active.delete(order.id));
      active.set(order.id, { stop, done });
    },
    end: (orderId) => active.get(orderId)?.stop.abort(),
    async close() {
      const all = [...active.values()];
      for (const { stop } of all) stop.abort();
      await Promise.all(all.map(({ done }) => done));
    },
  };
}
