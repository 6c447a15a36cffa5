import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { createHold } from "./hold.ts";
import { mergeSlices, mergeTail } from "./merge.ts";

const at = (id: string, endMs: number, more: Partial<ExecutionRecord> = {}) =>
  ({
    v: 1,
    id,
    endTime: new Date(endMs).toISOString(),
    handleTime: new Date(endMs).toISOString(),
    jobGroup: "g",
    jobId: "j",
    nodeId: "a",
    name: "j",
    success: true,
    outcome: { type: "exit", code: 0 },
    ...more,
  }) as ExecutionRecord;
const ids = ({ records }: { records: readonly ExecutionRecord[] }) => records.map(({ id }) => id).join("");

test("a true record that waits hides the provisional one of the archive, also where it does not pass the filter", (t) => {
  const held = at("b", 20, { provisional: true, success: false, outcome: { type: "lost", why: "nodeGone" } });
  const slice = { records: [at("c", 30), held, at("a", 10)] };
  t.is(ids(mergeTail([at("b", 25)], slice, { limit: 10 })), "cba");
  t.is(ids(mergeTail([at("b", 25)], slice, { limit: 10, outcome: "lost" })), "ca");
});

test("what waits comes in between, never behind the place where the archive's page ends, and the rest comes next", (t) => {
  const slice = { records: [at("e", 50), at("c", 30)], next: { endMs: 30, id: "c" } };
  const waiting = [at("d", 40), at("b", 20), at("f", 60)];
  t.is(ids(mergeTail(waiting, slice, { limit: 10 })), "fedc");
  const cut = mergeTail(waiting, slice, { limit: 2 });
  t.is(ids(cut), "fe");
  t.deepEqual(cut.next, { endMs: 50, id: "e" });
  t.is(ids(mergeTail(waiting, { records: [at("c", 30)] }, { limit: 10, before: { endMs: 50, id: "e" } })), "dcb");
});

test("pages of several groups end where the first of them stops", (t) => {
  const one = { records: [at("f", 60), at("e", 50)], next: { endMs: 50, id: "e" } };
  const other = { records: [at("d", 55), at("a", 10)] };
  t.is(ids(mergeSlices([one, other], 10)), "fde");
  t.deepEqual(mergeSlices([one, other], 10).next, { endMs: 50, id: "e" });
  t.deepEqual(mergeSlices([one, other], 1).next, { endMs: 60, id: "f" });
});

test("etcd holds what is not archived up to a bound, all jobs together; beyond it the oldest go", (t) => {
  const hold = createHold({ log: silentLog }, () => 7, { records: 10, runs: 2 });
  t.deepEqual([hold.isArchived(7), hold.isArchived(8)], [true, false]);
  t.is(hold.holdRecords("g/a", 6), 0);
  t.is(hold.holdRecords("g/b", 6), 2);
  t.is(hold.holdRecords("g/a", 7), 1);
  t.deepEqual([hold.held(), hold.letGo()], [10, 3]);
  t.is(hold.holdRecords("g/a", 0), 0);
  t.is(hold.holdRecords("g/b", 9), 0);
  t.deepEqual([hold.held(), hold.letGo()], [9, 3]);
});
