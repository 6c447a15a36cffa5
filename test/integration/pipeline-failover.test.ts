/** Leaders that freeze longer than their session lives and wake up believing, and leaders that are killed: a run goes on, and no task is ordered twice. */
import test from "ava";
import type { Info } from "fleetcron/http/api-schema";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";
import { startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, startRun, statesOf, task } from "../support/pipelines.ts";

test("two freezes and a kill of whoever leads", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using _kv = { [Symbol.asyncDispose]: () => kv.close() };
  const args = ["--session-ttl", "2s"];
  await using a = await startMasterProcess({ ...etcd, args });
  await using b = await startMasterProcess({ ...etcd, args, token: a.token });
  await using c = await startMasterProcess({ ...etcd, args, token: a.token });
  const masters = [a, b, c];
  const leaderOf = async (of: (typeof masters)[number]) => (await of.ask<Info>("GET", "/info")).body.leader?.master;

  let release = () => {};
  /** Every tenth task waits until it is let go, so that a leader can be dealt with in the middle of the run. */
  await using worker = await startOrderWorker(kv, { n1: {}, n2: {} }, async (order) => {
    if (order.env?.FLEETCRON_TASK?.endsWith("9")) {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
    return {};
  });
  const names = Array.from({ length: 40 }, (_, i) => `t${i}`);
  const id = await startRun(a, { stages: [{ name: "s", tasks: names.map((name) => task(name)) }] });
  for (const [at, how] of ["freeze", "freeze", "kill"].entries()) {
    await eventually(`task ${at * 10 + 9} has begun`, async () => worker.count(`t${at * 10 + 9}`) === 1);
    const watcher = masters[0]!;
    const name = await eventually("somebody leads", () => leaderOf(watcher));
    const leader = masters.find((master) => master.name === name)!;
    const other = masters.find((master) => master !== leader)!;
    if (how === "kill") await leader.kill();
    else process.kill(leader.pid, "SIGSTOP");
    release();
    await eventually("another leads", async () => {
      const now = await leaderOf(other);
      return now !== undefined && now !== name;
    });
    if (how === "freeze") process.kill(leader.pid, "SIGCONT");
    else masters.splice(masters.indexOf(leader), 1);
  }
  await eventually("the last pause", async () => worker.count("t39") === 1);
  release();
  const run = await runUntil(masters[0]!, id, "the run ends", hasEnded);
  t.is(run.state, "succeeded", JSON.stringify(statesOf(run)));
  t.deepEqual(
    worker.orders.map(({ order }) => order.env?.FLEETCRON_TASK),
    names,
  );
});
