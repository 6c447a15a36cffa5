/**
 * Editing, pausing and deleting a job around its tick, from two clients at once: after the agents have acknowledged a change nothing of the
 * old form begins, and no form fires for time before it was written.
 */

import test from "ava";
import type { ApiClient } from "fleetcron/client/api";
import { systemClock } from "fleetcron-shared/base/clock";
import { asAppError } from "fleetcron-shared/base/errors";
import type { Alive } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { seededRandom } from "../support/random-timers.ts";

const ROUNDS = 24;
const KEY = { group: "t", id: "edited" };

/** From when on (`atMs`, this host's clock) nothing older than `revision` may begin. */
type Acknowledged = { readonly revision: number; readonly atMs: number };

for (const kind of ["common", "interval"] as const) {
  test(`no run of an old form after its acknowledgement: ${kind}`, async (t) => {
    t.timeout(180_000);
    await using etcd = await startEtcd();
    await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1", "n2"] });
    const random = seededRandom(kind.length);
    const form = (number: number): JobSpec => ({
      kind,
      description: `form ${number}`,
      run: { command: { script: "true" } },
      rules: [{ mode: "cycle", timer: "* * * * * *" }],
      retain: { count: 5000 },
    });
    const written = new Map<number, number>();
    const acknowledged: Acknowledged[] = [];
    const apply = (number: number) => fleet.apply({ "t/edited": form(number) });
    await apply(0);

    for (let round = 1; round <= ROUNDS; round++) {
      // Within 60 ms before or after a full second.
      const tickMs = Math.ceil(systemClock.now() / 1000 + 0.2) * 1000;
      await systemClock.sleep(tickMs - 60 + random() * 120 - systemClock.now());
      const step = round % 4;
      if (step === 0) {
        acknowledged.push({ revision: Number.POSITIVE_INFINITY, atMs: await deleteAndWait(fleet) });
        await systemClock.sleep(1500);
        acknowledged.push({ revision: Number.POSITIVE_INFINITY, atMs: -systemClock.now() });
        await apply(round);
      } else if (step === 1) await Promise.all([conflictIsFine(apply(round)), conflictIsFine(apply(round + 1000))]);
      else if (step === 2) await Promise.all([conflictIsFine(apply(round)), conflictIsFine(fleet.api.pauseJob(KEY))]);
      else await Promise.all([conflictIsFine(fleet.api.resumeJob(KEY)), conflictIsFine(apply(round))]);
      const view = await everyoneKnows(fleet.api);
      written.set(view.revision, Date.parse(view.updatedAt));
      acknowledged.push({ revision: view.revision, atMs: systemClock.now() });
    }
    const last = acknowledged.at(-1)?.revision ?? 0;
    const records = await eventually("the last form has run", async () => {
      const all = await fleet.records("t/edited");
      return all.filter((record) => record.jobRevision === last).length >= 4 && all;
    });
    t.deepEqual(beganTooLate(records, acknowledged), []);
    const retroactive = records.filter((record) => Date.parse(record.dueAt ?? "") < (written.get(record.jobRevision) ?? 0));
    t.deepEqual(
      retroactive.map((record) => `${record.dueAt} of revision ${record.jobRevision}`),
      [],
    );
    const ticks = records
      .filter((record) => record.outcome.type === "exit")
      .map((record) => `${record.dueAt} ${kind === "common" ? record.nodeId : ""}`);
    t.is(new Set(ticks).size, ticks.length, "no tick ran twice");
    t.true(ticks.length > ROUNDS / 2);
  });
}

/** Runs that began after a newer form, or the deletion, was acknowledged. A negative time ends a deletion. */
function beganTooLate(records: readonly ExecutionRecord[], acknowledged: readonly Acknowledged[]): string[] {
  const found: string[] = [];
  for (const [index, { revision, atMs }] of acknowledged.entries()) {
    if (atMs < 0) continue;
    const next = acknowledged[index + 1];
    const untilMs = next !== undefined && next.atMs < 0 ? -next.atMs : Number.POSITIVE_INFINITY;
    for (const record of records) {
      const beginMs = Date.parse(record.beginTime ?? "");
      if (record.jobRevision < revision && beginMs > atMs && beginMs < untilMs) {
        found.push(`revision ${record.jobRevision} began ${beginMs - atMs} ms after ${revision} was acknowledged`);
      }
    }
  }
  return found;
}

function everyoneKnows(api: ApiClient) {
  return eventually("both nodes acknowledge the change", async () => {
    const view = await api.job(KEY);
    return view.acknowledged?.nodes === 2 && view.acknowledged.of === 2 && view;
  });
}

/** Deletes the job; resolves with the time at which both agents are known to have seen their dispatch go. */
async function deleteAndWait(fleet: Fleet): Promise<number> {
  const { kv, keys, api } = fleet;
  const nodes = ["n1", "n2"];
  const before = await Promise.all(nodes.map((node) => kv.get(keys.dispatch(node, KEY.group, KEY.id))));
  await api.deleteJob(KEY);
  await eventually("both agents have seen the deletion", async () => {
    const dispatches = await Promise.all(nodes.map((node) => kv.get(keys.dispatch(node, KEY.group, KEY.id))));
    const alive = await Promise.all(nodes.map((node) => kv.get(keys.alive(node))));
    return (
      dispatches.every((entry) => entry === undefined) &&
      alive.every((entry, index) => (JSON.parse(entry?.value ?? "{}") as Alive).observedRevision > (before[index]?.modRevision ?? 0))
    );
  });
  return systemClock.now();
}

async function conflictIsFine(change: Promise<unknown>): Promise<void> {
  await change.catch((thrown: unknown) => {
    const error = asAppError(thrown);
    if (error.code !== "write/conflict") throw error;
  });
}
