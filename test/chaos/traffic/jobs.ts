/** The jobs of a chaos run: every kind, overlap, misfire, retry and isolation policy, short and long. Their schedules never change, but those in group `m` do. */
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { evidenceCommand, failsBefore, failsOneIn } from "./script.ts";

type Body = Parameters<typeof evidenceCommand>[1];

/**
 * Held ticks wait no longer: the whole fleet must converge within 15 s. What an outage has delayed is worked off one after the other, so no job may take much
 * longer than its period: ticks of holdFor and of the 5 s after it are in one line.
 */
const HOLD_FOR = "5s";

export function chaosJobs(evidence: string): Record<string, JobSpec> {
  const job = (kind: JobSpec["kind"] & string, timer: string, body: Body = {}, more: Partial<JobSpec> = {}): JobSpec => ({
    kind,
    run: { command: evidenceCommand(evidence, body) },
    rules: [{ mode: "cycle", timer }],
    retain: { count: 10_000 },
    holdFor: HOLD_FOR,
    ...more,
  });
  return {
    "c/tick": job("common", "*/2 * * * * *"),
    "c/fails": job("common", "*/10 * * * * *", { code: failsOneIn(2) }),
    "c/hold": job("common", "*/5 * * * * *", {}, { onIsolation: "hold" }),
    "c/queue": job("common", "*/6 * * * * *", { tenths: 40 }, { overlap: "queue" }),
    "c/replace": job("common", "*/7 * * * * *", { tenths: 95 }, { overlap: "replace", killGrace: "1s" }),
    "c/allow": job("common", "*/5 * * * * *", { tenths: 60 }, { overlap: "allow", parallel: 3 }),
    "c/retry": job("common", "*/10 * * * * *", { code: failsBefore(2) }, { retry: { limit: 2, delay: "1s" } }),
    "c/timeout": job("common", "*/15 * * * * *", { tenths: 300 }, { timeout: "2s", killGrace: "1s" }),
    "c/all": job("common", "*/5 * * * * *", {}, { misfire: "all" }),
    "c/skip": job("common", "*/5 * * * * *", {}, { misfire: "skip" }),
    "i/tick": job("interval", "* * * * * *"),
    "i/two": job("interval", "*/2 * * * * *", { code: failsOneIn(4) }),
    "i/slow": job("interval", "*/2 * * * * *", { tenths: 25 }, { overlap: "queue" }),
    "i/rerun": job("interval", "*/2 * * * * *", { tenths: 10 }, { onNodeLost: "rerun" }),
    "i/retry": job("interval", "*/5 * * * * *", { code: failsBefore(2) }, { retry: { limit: 1, delay: "1s" } }),
    "i/all": job("interval", "*/5 * * * * *", {}, { misfire: "all" }),
    "a/tick": job("alone", "* * * * * *", { tenths: 2, beats: true }),
    "a/long": job("alone", "*/2 * * * * *", { tenths: 24, beats: true }, { holdFor: "3s" }),
    "a/queue": job("alone", "*/4 * * * * *", { tenths: 20, beats: true }, { overlap: "queue" }),
    "a/replace": job("alone", "*/6 * * * * *", { tenths: 80, beats: true }, { overlap: "replace", killGrace: "1s" }),
    "a/rerun": job("alone", "*/3 * * * * *", { tenths: 5, beats: true }, { onNodeLost: "rerun" }),
    "m/common": job("common", "*/3 * * * * *"),
    "m/interval": job("interval", "*/2 * * * * *"),
    "m/alone": job("alone", "*/2 * * * * *", { tenths: 5, beats: true }),
    // Only ever ordered.
    "o/common": { ...job("common", "@yearly", { tenths: 10 }), rules: [{ mode: "cycle", timer: "@yearly" }] },
    "o/alone": {
      ...job("alone", "@yearly", { tenths: 10, beats: true }, { overlap: "queue" }),
      rules: [{ mode: "cycle", timer: "@yearly" }],
    },
  };
}

export const PIPELINE = "p/chaos";
/** Each task and those that it waits for. */
export const PIPELINE_NEEDS: Readonly<Record<string, readonly string[]>> = {
  first: [],
  left: ["first"],
  right: ["first"],
  each: ["first"],
  last: ["left", "right", "each"],
};

export function chaosPipeline(evidence: string): PipelineSpec {
  const task = (name: string, body: Body = {}) => ({ name, job: { run: { command: evidenceCommand(evidence, body) } } });
  return {
    stages: [
      { name: "one", tasks: [task("first", { tenths: 3 })] },
      {
        name: "two",
        parallel: true,
        tasks: [task("left", { tenths: 8 }), task("right"), { ...task("each", { tenths: 4 }), forEachNode: true }],
      },
      { name: "three", tasks: [task("last")] },
    ],
    timeout: "60s",
  };
}
