/** After the last heal: how long until the fleet is as it should be, asked by facts, without a restart. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { scanPrefix } from "fleetcron/ops/scan";
import { type EpochMs, systemClock } from "fleetcron-shared/base/clock";
import type { Target } from "fleetcron-shared/check/history";
import type { Dispatch, Lock, Proc } from "fleetcron-shared/model/facts";
import { isAlive } from "../../support/processes.ts";
import type { ChaosFleet } from "../fleet.ts";
import type { Deed } from "../traffic/traffic.ts";
import { readEvidence, type Witnessed } from "./evidence.ts";
import { readNewRecords, type Told } from "./records.ts";
import { openOrders, openTicks } from "./settled.ts";

export const CONVERGE_MS = 15_000;
const EVERY_MS = 1000;
/** What was seen twice with so much time between is stale. */
const STALE_MS = 2000;

/** Records of ticks since then may bear ids that are older, by clocks that were moved. */
const EARLIER_MS = 30_000;

export type Seen = { readonly runs: readonly Witnessed[]; readonly told: readonly Told[] };
export type Convergence = { readonly ms: number | undefined; readonly open: readonly string[]; readonly seen: Seen };

/** Asks until nothing is open that began since `sinceMs`, or the limit is over: `limitMs` from `healedMs` on. */
export async function converge(
  fleet: ChaosFleet,
  about: {
    healedMs: EpochMs;
    limitMs: number;
    sinceMs: EpochMs;
    jobs: readonly string[];
    deeds: readonly Deed[];
    targets: () => readonly Target[];
  },
): Promise<Convergence> {
  const firstSeen = new Map<string, EpochMs>();
  for (;;) {
    const nowMs = systemClock.now();
    const runs = readEvidence(fleet.evidence);
    const facts = await Promise.all([readNewRecords(fleet.kv, fleet.keys, about.jobs, about.sinceMs - EARLIER_MS), stateOf(fleet)]).catch(
      (thrown: unknown) => String(thrown),
    );
    if (typeof facts !== "string") {
      const [told, state] = facts;
      const seen = { runs, told };
      const stale = staleOf(state, told).filter((what) => {
        const since = firstSeen.get(what) ?? nowMs;
        firstSeen.set(what, since);
        return nowMs - since >= STALE_MS;
      });
      const open = [
        ...openTicks(about.targets(), runs, told, nowMs),
        ...openOrders(
          about.deeds.filter(({ fromMs }) => fromMs >= about.sinceMs),
          told,
          runs,
        ),
        ...stale,
        ...state.wrong,
      ];
      const line = { at: new Date(nowMs).toISOString(), ms: nowMs - about.healedMs, open: open.length, first: open.slice(0, 8) };
      appendFileSync(join(fleet.folder, "converge.jsonl"), `${JSON.stringify(line)}\n`);
      if (open.length === 0) return { ms: systemClock.now() - about.healedMs, open, seen };
      if (nowMs - about.healedMs > about.limitMs) return { ms: undefined, open, seen };
    } else if (nowMs - about.healedMs > about.limitMs)
      return { ms: undefined, open: [`etcd does not answer: ${facts}`], seen: { runs, told: [] } };
    await systemClock.sleep(EVERY_MS);
  }
}

type State = {
  /** Wrong at once. */
  readonly wrong: readonly string[];
  readonly procs: readonly { readonly key: string; readonly proc: Proc }[];
  readonly locks: readonly { readonly key: string; readonly lock: Lock; readonly revision: number }[];
  readonly inbox: readonly string[];
  readonly unfinished: readonly string[];
};

async function stateOf(fleet: ChaosFleet): Promise<State> {
  const { kv, keys, cast } = fleet;
  const all = async (prefix: string) => {
    const found = [];
    for await (const entry of scanPrefix(kv, prefix)) found.push(entry);
    return found;
  };
  const alive = new Set((await all(keys.aliveAll)).map(({ key }) => keys.parts(key)[1]));
  const wrong = cast.agents.filter((agent) => !alive.has(agent)).map((agent) => `${agent} is not alive`);
  if ((await kv.get(keys.leader)) === undefined) wrong.push("no master leads");
  for (const master of cast.masters) {
    await fleet
      .api(master)
      .info()
      .catch((thrown: unknown) => wrong.push(`${master} does not answer: ${String(thrown)}`));
  }
  const jobs = new Map((await all(keys.jobs)).map(({ key, modRevision }) => [keys.parts(key).slice(1).join("/"), modRevision]));
  const dispatches = await all(keys.dispatches);
  const found = new Map(dispatches.map(({ key, value }) => [keys.parts(key).slice(1).join("/"), (JSON.parse(value) as Dispatch).revision]));
  for (const agent of cast.agents) {
    for (const [job, revision] of jobs) {
      const given = found.get(`${agent}/${job}`);
      found.delete(`${agent}/${job}`);
      if (given !== revision) wrong.push(`${agent} has ${job} of revision ${given}, not ${revision}`);
    }
  }
  for (const key of found.keys()) wrong.push(`there is a dispatch ${key} that nobody wants`);
  return {
    wrong,
    procs: (await all(keys.procs)).map(({ key, value }) => ({ key, proc: JSON.parse(value) as Proc })),
    locks: (await all(keys.locks))
      .filter(({ key }) => keys.parts(key).length === 3)
      .map(({ key, value, createRevision }) => ({ key, lock: JSON.parse(value) as Lock, revision: createRevision })),
    inbox: (await all(keys.inbox)).map(({ key }) => key),
    unfinished: (await all(keys.unfinishedAll)).map(({ key }) => key),
  };
}

/** What must not stay: each of these may be there for an instant. */
function staleOf(state: State, told: readonly Told[]): string[] {
  const final = new Set(told.filter((one) => one.final).map(({ execution }) => execution));
  return [
    ...state.procs.filter(({ proc }) => proc.pid > 0 && !isAlive(proc.pid)).map(({ key }) => `${key}: there is no such process`),
    ...state.procs.filter(({ proc }) => final.has(proc.execution)).map(({ key }) => `${key}: that execution has ended`),
    ...state.locks.filter(({ lock }) => final.has(lock.execution)).map(({ key, revision }) => `${key} (${revision}): its holder has ended`),
    ...state.inbox.map((key) => `${key} is not filed`),
    ...state.unfinished.map((key) => `${key}: that run of the pipeline has not ended`),
    ...told
      .filter((one) => one.provisional && one.outcome.startsWith("lost:"))
      .map(({ id, job }) => `record ${id} of ${job} is provisional, and its node is there`),
  ];
}
