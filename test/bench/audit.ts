/** How much CPU time a pass of the auditor takes, with so many jobs that are due each minute: all of them reported, and none. In memory, without etcd. */
import { createAuditPass } from "fleetcron/leader/audit-pass";
import type { LeaderDeps } from "fleetcron/leader/leader-deps";
import { createTimetable } from "fleetcron/timetable";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { exists } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";

const MINUTE = 60_000;
const PASS_MS = 10_000;

/** Milliseconds of CPU time of each pass over `minutes`, longest first. `reported`: every tick has its record. */
export async function measurePasses(
  jobs: number,
  minutes: number,
  reported: boolean,
): Promise<{ passes: number[]; startMs: number; heapMiB: number }> {
  const wall = createManualClock();
  const clock = { ...wall, sleep: systemClock.sleep };
  const keys = createKeys();
  const startMs = wall.now();
  const at = toIso(startMs - MINUTE);
  const entries = Array.from({ length: jobs }, (_, i) => {
    const meta = { group: "g", id: `j${i}`, revision: 1, createdAt: at, updatedAt: at, submittedAt: at };
    const timer = `${i % 60} * * * * *`;
    const job = compileJob(meta, {
      kind: i % 2 === 0 ? "interval" : "common",
      run: { command: { script: "x" } },
      rules: [{ mode: "cycle", timer }],
    });
    return [keys.job("g", `j${i}`), { job }] as const;
  });
  const byKey = new Map(entries);
  const view = <T>(held: ReadonlyMap<string, T>) => ({
    get: (key: string) => held.get(key),
    entries: () => held.entries(),
    onChange: () => () => {},
    size: held.size,
  });
  const info = { v: 1, id: "a", hostname: "a", agentLabels: {}, apiLabels: {}, createdAt: at, startedAt: at };
  const alive = { v: 1, node: "a", instance: "i", startedAt: at, running: 0, queued: 0, observedRevision: 0 };
  const views = {
    jobs: view(byKey),
    nodes: view(new Map(reported ? [[keys.node("a"), { info, labels: {}, revision: 1 }]] : [])),
    alive: view(new Map(reported ? [[keys.alive("a"), alive]] : [])),
    ...{ procs: view(new Map()), stats: view(new Map()) },
  };
  const kv = createMemoryStore({ clock: wall }).connect();
  await kv.txn({ then: [{ op: "put", key: keys.leader, value: "{}" }] });
  const term = { revision: 1, guard: exists(keys.leader), ended: new AbortController().signal, trusted: () => true };
  const newId = createIdSource({ clock, random: systemRandom });
  const deps = { ...{ kv, keys, clock, views, term, newId }, random: systemRandom, log: silentLog, timetable: createTimetable("UTC") };
  const begun = process.cpuUsage();
  const pass = createAuditPass(
    deps as unknown as LeaderDeps & { timetable: ReturnType<typeof createTimetable> },
    { missedAfterMs: MINUTE, lostAfterMs: MINUTE },
    { untilMs: startMs + (reported ? MINUTE : 0), startedMs: startMs - 10 * MINUTE },
  );
  pass.follow();
  for (const [, { job }] of entries) pass.put(job);
  const tookMs = process.cpuUsage(begun).user / 1000;
  const passes: number[] = [];
  const signal = new AbortController().signal;
  for (let nowMs = startMs; nowMs < startMs + minutes * MINUTE; nowMs += PASS_MS) {
    await wall.advance(PASS_MS);
    const records: ExecutionRecord[] = [];
    const from = Math.floor((nowMs - startMs) / 1000) % 60;
    const minuteMs = Math.floor(nowMs / MINUTE) * MINUTE;
    for (let i = 0; reported && i < jobs; i++) {
      const second = i % 60;
      if (second < from || second >= from + PASS_MS / 1000) continue;
      const dueAt = toIso(minuteMs + second * 1000);
      records.push({
        id: `${i}-1`,
        execution: `${i}`,
        jobGroup: "g",
        jobId: `j${i}`,
        ruleId: "r1",
        dueAt,
        nodeId: "a",
        attempt: 1,
        outcome: { type: "exit", code: 0 },
        endTime: dueAt,
      } as ExecutionRecord);
    }
    const before = process.cpuUsage();
    pass.note(records);
    await pass.run(wall.now(), signal, () => []);
    pass.position(wall.now());
    const { user, system } = process.cpuUsage(before);
    passes.push((user + system) / 1000);
  }
  const heapMiB = process.memoryUsage().heapUsed / 2 ** 20;
  return { passes: passes.sort((a, b) => b - a), startMs: tookMs, heapMiB };
}

for (const [jobs, reported] of [
  [10_000, true],
  [10_000, false],
  [100_000, true],
  [100_000, false],
] as const) {
  const { passes, startMs, heapMiB } = await measurePasses(jobs, 6, reported);
  const median = passes[Math.floor(passes.length / 2)] ?? 0;
  process.stdout.write(
    `${jobs} jobs each minute, ${reported ? "all reported" : "no node"}: a pass ${median.toFixed(0)} ms (median), ${(passes[0] ?? 0).toFixed(0)} ms (longest); to begin ${startMs.toFixed(0)} ms; heap ${heapMiB.toFixed(0)} MiB\n`,
  );
}
