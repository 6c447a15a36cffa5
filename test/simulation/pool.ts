/** Worlds on all processors: one worker thread each, the next seed to whoever is free. */
import { Worker } from "node:worker_threads";
import type { SabotageName } from "./sabotage.ts";
import type { Report } from "./worker.ts";

export type PoolOptions = {
  readonly workers: number;
  /** Of faults, in each world. */
  readonly hours: number;
  readonly sabotage?: SabotageName;
  /** The next seed; undefined: enough. */
  readonly nextSeed: () => number | undefined;
  readonly onReport: (report: Report) => void;
};

/** Resolves when every world has reported; rejects when a worker dies. */
export async function simulateAll({ workers, hours, sabotage = "none", nextSeed, onReport }: PoolOptions): Promise<void> {
  await Promise.all(Array.from({ length: workers }, runWorker));

  function runWorker(): Promise<void> {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 128 } });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const next = () => {
      const seed = nextSeed();
      worker.postMessage(seed === undefined ? "end" : { seed, hours, sabotage });
    };
    worker.on("message", (report: Report) => {
      onReport(report);
      next();
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve());
    next();
    return promise;
  }
}
