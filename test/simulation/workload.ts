/** What a simulated fleet has to do, drawn by the seed: jobs of every kind, and what people do to them meanwhile. */
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { JobSpec, Overlap } from "fleetcron-shared/model/job-spec";
import type { StartSpec } from "../../packages/agent/src/spawner/protocol.ts";
import { deleteJob } from "../../packages/master/src/ops/delete-job.ts";
import { killExecution } from "../../packages/master/src/ops/kill-execution.ts";
import type { OpsDeps } from "../../packages/master/src/ops/ops-deps.ts";
import { pauseJob } from "../../packages/master/src/ops/pause-job.ts";
import { putJob } from "../../packages/master/src/ops/put-job.ts";
import { runJob } from "../../packages/master/src/ops/run-job.ts";
import type { Behaviour } from "./host.ts";
import { createPipelines, drawPipelines, endPipelines, runOne } from "./pipelines.ts";
import type { Dice } from "./random.ts";

export const GROUP = "sim";

const TIMERS = [
  "* * * * *",
  "*/2 * * * *",
  "*/3 * * * *",
  "*/5 * * * *",
  "*/10 * * * *",
  "*/15 * * * *",
  "@every 90s",
  "@every 4m",
  "7 */5 * * * *",
] as const;
const FREQUENT = ["*/10 * * * * *", "*/20 * * * * *", "@every 15s"] as const;

/** More than one tick within the time that a call to etcd may take; mostly not the whole hour, which costs as much as ten other fleets. */
const SWIFT = ["* */6 * * * *", "* 0-9 * * * *", "*/2 */4 * * * *", "*/2 20-39 * * * *", "@every 3s"] as const;

/** The job's processes know how to behave from their environment. */
type Habit = { readonly shortMs: number; readonly longMs: number; readonly longShare: number; readonly failShare: number };

export function behaviourOf(spec: StartSpec, dice: Dice): Behaviour {
  const habit = JSON.parse(spec.env.HABIT ?? "{}") as Habit;
  const lastsMs = dice.chance(habit.longShare) ? dice.int(habit.shortMs, habit.longMs) : dice.int(1, habit.shortMs);
  const exitCode = dice.chance(habit.failShare) ? dice.int(1, 3) : 0;
  return { lastsMs, exitCode, ignoresTermMs: dice.chance(0.1) ? dice.int(1000, 20_000) : dice.int(1, 200) };
}

export function drawJob(dice: Dice, nodes: readonly string[]): JobSpec {
  const kind = dice.pick(["common", "interval", "interval", "alone", "alone"] as const);
  const overlaps: Overlap[] = kind === "common" ? ["skip", "skip", "queue", "replace", "allow"] : ["skip", "skip", "queue", "replace"];
  const overlap = dice.pick(overlaps);
  const swift = dice.fork("swift");
  const isSwift = swift.chance(0.015);
  const habit: Habit = {
    shortMs: dice.pick([300, 2000, 8000]),
    longMs: dice.pick([20_000, 70_000, 200_000]),
    longShare: dice.pick([0, 0.05, 0.2, 0.6]),
    failShare: dice.pick([0, 0.1, 0.5]),
    ...(isSwift ? { shortMs: 300, longShare: 0 } : {}),
  };
  return {
    run: { command: { argv: ["/bin/simulated"] } },
    rules: [
      {
        mode: "cycle",
        timer: isSwift ? swift.pick(SWIFT) : dice.chance(0.05) ? dice.pick(FREQUENT) : dice.pick(TIMERS),
        ...(!isSwift && dice.chance(0.2) ? { jitter: `${dice.int(1, 9)}s` } : {}),
        ...(dice.chance(0.3) ? { target: { nodes: nodes.slice(0, dice.int(1, 2)) } } : {}),
      },
    ],
    kind,
    overlap,
    ...(overlap === "allow" ? { parallel: dice.int(1, 3) } : {}),
    misfire: dice.pick(["once", "once", "skip", "all"] as const),
    misfireWindow: dice.pick(["3m", "10m", "30m"]),
    holdFor: dice.pick(["5s", "30s", "60s"]),
    ...(kind === "common" && dice.chance(0.5) ? { onIsolation: "hold" as const } : {}),
    ...(kind !== "common" && dice.chance(0.4) ? { onNodeLost: "rerun" as const } : {}),
    ...(dice.chance(0.3) ? { timeout: `${dice.int(10, 60)}s` } : {}),
    killGrace: dice.pick(["1s", "10s"]),
    ...(dice.chance(0.4) ? { retry: { limit: dice.int(1, 2), delay: `${dice.int(1, 30)}s` } } : {}),
    retain: { count: isSwift ? 10_000 : 1000 },
    env: { HABIT: JSON.stringify(habit) },
  };
}

export type People = {
  /** Does one thing that the seed draws; never throws. */
  act(ops: OpsDeps): Promise<void>;
  create(ops: OpsDeps): Promise<void>;
  /** All jobs are paused; false when that has to be tried again. */
  rest(ops: OpsDeps): Promise<boolean>;
};

/** `ids`: the jobs that there are. */
export function createPeople(dice: Dice, nodes: readonly string[], ids: readonly string[], trace: (what: string) => void): People {
  const specs = new Map(ids.map((id) => [id, drawJob(dice.fork(id), nodes)]));
  const pipelines = dice.chance(0.4) ? drawPipelines(dice.fork("pipelines")) : {};
  let edits = 0;

  async function edit(ops: OpsDeps, id: string): Promise<void> {
    const before = specs.get(id) as JobSpec;
    const fresh = drawJob(dice.fork(`${id}/${++edits}`), nodes);
    const next = dice.chance(0.5)
      ? { ...before, env: { ...before.env, EDIT: String(edits) } }
      : { ...fresh, kind: before.kind ?? "common" };
    const overlap = next.kind !== "common" && next.overlap === "allow" ? "skip" : next.overlap;
    const { parallel, ...rest } = next;
    const isolation = next.kind === "common" ? {} : { onIsolation: "hold" as const };
    const lost = next.kind === "common" ? { onNodeLost: "fail" as const } : {};
    const spec = { ...rest, ...isolation, ...lost, overlap: overlap ?? "skip", ...(overlap === "allow" && parallel ? { parallel } : {}) };
    await putJob(ops, { group: GROUP, id }, spec, undefined);
    specs.set(id, spec);
  }

  async function killOne(ops: OpsDeps): Promise<void> {
    const [proc] = [...ops.views.procs.entries()].map(([, entry]) => entry);
    if (proc !== undefined) await killExecution(ops, proc.proc.execution, "no longer wanted", "people");
  }

  const things: readonly (readonly [string, (ops: OpsDeps, id: string) => Promise<unknown>])[] = [
    ["edit", edit],
    ["edit", edit],
    ["pause", (ops, id) => pauseJob(ops, { group: GROUP, id }, true)],
    ["resume", (ops, id) => pauseJob(ops, { group: GROUP, id }, false)],
    ["resume", (ops, id) => pauseJob(ops, { group: GROUP, id }, false)],
    ["run", (ops, id) => runJob(ops, { group: GROUP, id }, {}, "people")],
    ["run", (ops, id) => runJob(ops, { group: GROUP, id }, {}, "people")],
    ["kill", killOne],
    ["pipeline", runOne],
    ["pipeline", runOne],
    [
      "delete",
      async (ops, id) => {
        await deleteJob(ops, { group: GROUP, id });
        await putJob(ops, { group: GROUP, id }, specs.get(id), undefined);
      },
    ],
  ];

  return {
    async act(ops) {
      const [name, thing] = dice.pick(things);
      const id = dice.pick(ids);
      trace(`people: ${name} ${id}`);
      await thing(ops, id).catch((thrown: unknown) => {
        trace(`people: ${name} ${id} is refused: ${asError(thrown).message}`);
        // What was deleted and could not be made again comes with a later edit.
        if (isCode(thrown, "internal/bug", "input/invalid")) throw thrown;
      });
    },
    async create(ops) {
      for (const id of ids) await putJob(ops, { group: GROUP, id }, specs.get(id), undefined);
      await createPipelines(ops, pipelines);
    },
    async rest(ops) {
      try {
        await endPipelines(ops);
        for (const id of ids) {
          await pauseJob(ops, { group: GROUP, id }, true).catch((thrown: unknown) => {
            if (!isCode(thrown, "job/not-found")) throw thrown;
          });
        }
        return true;
      } catch {
        return false;
      }
    },
  };
}
