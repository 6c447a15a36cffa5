import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import type { ClusterTick } from "./cluster-tick.ts";
import { Lanes } from "./lane.ts";

const tick = (execution: string, dueMs: number) =>
  ({ execution, dueMs, job: { key: "g/j" }, holdUntilMono: 60_000 }) as unknown as ClusterTick;

test("a tick whose claim was stored without an answer goes before those that wait for its lock", async (t) => {
  const clock = createManualClock();
  const done: string[] = [];
  const sizes: number[] = [];
  const lanes: Lanes = new Lanes(
    { clock, log: silentLog, executions: { onChanged: () => void sizes.push(lanes.size) } },
    {
      async work({ execution }) {
        if (execution !== "third" && !done.includes("third")) return { behind: "third" };
        done.push(execution);
        return "done";
      },
      isolated: ({ execution }) => void done.push(`${execution} isolated`),
    },
  );
  for (const [index, execution] of ["first", "second", "third", "fourth"].entries()) lanes.join(tick(execution, index * 1000));
  await clock.advance(5000);
  t.deepEqual(done, ["third", "first", "second", "fourth"]);
  t.is(lanes.size, 0);
  t.deepEqual(sizes, [1, 2, 3, 4, 3, 2, 1, 0], "whoever counts them is told each time");
});

test("behind an execution of another node the line waits", async (t) => {
  const clock = createManualClock();
  let isFree = false;
  const done: string[] = [];
  const lanes = new Lanes(
    { clock, log: silentLog, executions: { onChanged: () => {} } },
    {
      async work({ execution }) {
        if (!isFree) return { behind: "elsewhere" };
        done.push(execution);
        return "done";
      },
      isolated: () => t.fail(),
    },
  );
  for (const [index, execution] of ["first", "second"].entries()) lanes.join(tick(execution, index * 1000));
  await clock.advance(5000);
  t.deepEqual(done, []);
  isFree = true;
  await clock.advance(5000);
  t.deepEqual(done, ["first", "second"]);
});
