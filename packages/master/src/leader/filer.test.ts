import test from "ava";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createAuditBench } from "../../../../test/support/audit-bench.ts";
import { shareOut } from "./share-out.ts";

const item = (jobId: string, n: number) => ({ inboxKey: `${n}`, inbox: n, record: { jobGroup: "g", jobId } as ExecutionRecord });

test("shares: none for nothing, one for what fits a transaction, those of a job in one and in order", (t) => {
  t.deepEqual(shareOut([]), []);
  t.is(shareOut(Array.from({ length: 40 }, (_, n) => item(`j${n}`, n))).length, 1);
  const shares = shareOut(Array.from({ length: 320 }, (_, n) => item(`j${n % 10}`, n)));
  t.is(shares.length, 8);
  for (const share of shares) {
    for (const ofJob of Map.groupBy(share, ({ record }) => record.jobId).values())
      t.true(ofJob.every(({ inboxKey }, at) => Number(inboxKey) > Number(ofJob[at - 1]?.inboxKey ?? -1)));
    for (const { record } of share) t.is(shares.filter((other) => other.some((one) => one.record.jobId === record.jobId)).length, 1);
  }
  t.is(shareOut(Array.from({ length: 200 }, (_, n) => item("j", n))).length, 1, "one job is counted in one place");
});

test("a flood is filed by several transactions at a time, each record once, and counted", async (t) => {
  const bench = await createAuditBench();
  const { kv, keys } = bench;
  await bench.join("a");
  const dueMs = bench.clock.now();
  for (let n = 0; n < 600; n++) await bench.deliver("a", `j${n % 30}`, dueMs + n);
  const own = bench.connect();
  own.setDelay(100);
  let [underWay, most] = [0, 0];
  const counting: Kv = {
    ...own,
    async txn(txn) {
      underWay += 1;
      most = Math.max(most, underWay);
      return own.txn(txn).finally(() => {
        underWay -= 1;
      });
    },
  };
  const leading = bench.lead(counting);
  await bench.advance(3000);
  await leading;
  await bench.advance(3000);
  const count = async (prefix: string) => (await kv.range({ ...prefixRange(prefix), countOnly: true })).count;
  t.is(await count(keys.inbox), 0);
  t.is(await count(keys.records), 600);
  for (let j = 0; j < 30; j++) t.is(JSON.parse((await kv.get(keys.stats("g", `j${j}`)))?.value ?? "{}").successCount, 20);
  t.true(most > 3, `${most} at a time`);
  await bench.die();
});
