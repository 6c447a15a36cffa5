import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Delivery, Notice } from "fleetcron-shared/model/notice";
import { exists, type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import type { Sender } from "../notify/sender.ts";
import { createOrderLease } from "../ops/order-lease.ts";
import { openViews } from "../views.ts";
import { startNotifier } from "./notifier.ts";

const keys = createKeys();
const CHANNELS = ["a", "b"];
const NOTICES = ["j1", "j2", "j3"];

async function put(kv: Kv, key: string, value: object): Promise<void> {
  await kv.txn({ then: [{ op: "put", key, value: JSON.stringify(value) }] });
}

function noticeOf(job: string): Notice {
  return {
    ...{ v: 1, id: `${job}-1`, at: toIso(systemClock.now()), events: ["finalFailure"], severity: "bad", title: `${job} failed`, data: {} },
    subject: { kind: "job", group: "g", id: job, name: job },
    to: CHANNELS.map((channel) => ({ channel, mention: [] })),
  };
}

async function deliveriesIn(kv: Kv): Promise<Delivery[]> {
  return (await kv.range(prefixRange(keys.deliveries))).kvs.map(({ value }) => JSON.parse(value) as Delivery);
}

/**
 * Runs a notifier whose `at`-th transaction fails and ends its term, having happened (`after`) or not, and then the next leader's, which is given further
 * notices. Returns what was sent, as `channel id titles`, and how many transactions the first one began.
 */
async function runWithDeath(at: number, when: "before" | "after"): Promise<{ sent: string[]; kv: Kv; begun: number }> {
  const kv = createMemoryStore({ clock: systemClock }).connect();
  await put(kv, keys.leader, { v: 1 });
  for (const name of CHANNELS)
    await put(kv, keys.channel(name), { v: 1, name, createdAt: "", updatedAt: "", spec: { atMostEvery: "0", slack: { url: "http://x" } } });
  const sent: string[] = [];
  const send: Sender = async (_spec, { channel, id, items }) => {
    sent.push([channel, id, ...items.map(({ notice }) => notice.title)].join(" "));
    return { ok: true, text: "", tookMs: 0 };
  };
  let begun = 0;

  async function lead(store: Kv, ended: AbortController): Promise<{ stop(): Promise<void> }> {
    const deps = { kv: store, keys, clock: systemClock, random: systemRandom, log: silentLog };
    const views = openViews({ ...deps, kv });
    await views.synced;
    const term = { revision: 1, guard: exists(keys.leader), ended: ended.signal, trusted: () => !ended.signal.aborted };
    const own = { ...deps, newId: createIdSource(deps), views, orderLease: createOrderLease(deps), passPoint: () => {}, term, send };
    const notifier = startNotifier(own, { gatherMs: 5 });
    const stop = async () => {
      await notifier.stop();
      await views.close();
    };
    return { stop };
  }

  const ended = new AbortController();
  const dying: Kv = {
    ...kv,
    async txn(txn) {
      const dies = begun++ === at;
      if (ended.signal.aborted || (dies && when === "before")) {
        ended.abort();
        throw new AppError("etcd/unreachable", "dead");
      }
      const result = await kv.txn(txn);
      if (!dies) return result;
      ended.abort();
      throw new AppError("etcd/unknown-outcome", "dead");
    },
  };
  for (const job of NOTICES.slice(0, 2)) await put(kv, keys.notice(`${job}-1`), noticeOf(job));
  const first = await lead(dying, ended);
  const isDone = async () => (await deliveriesIn(kv)).length > 0 && (await deliveriesIn(kv)).every(({ state }) => state === "delivered");
  while (!ended.signal.aborted && !(await isDone())) await systemClock.sleep(2);
  await first.stop();
  await put(kv, keys.notice("j3-1"), noticeOf("j3"));
  const second = await lead(kv, new AbortController());
  while ((await kv.range(prefixRange(keys.outbox))).count > 0 || !(await isDone())) await systemClock.sleep(2);
  await second.stop();
  return { sent, kv, begun };
}

for (const when of ["before", "after"] as const) {
  test(`a leader that dies ${when} any of its writes leaves each notice to be sent under one id`, async (t) => {
    const { begun: writes } = await runWithDeath(Number.POSITIVE_INFINITY, when);
    t.true(writes >= 5, "gather, and for both channels seal and note");
    for (let at = 0; at < writes; at++) {
      const { sent, kv } = await runWithDeath(at, when);
      for (const channel of CHANNELS) {
        const own = sent.filter((line) => line.startsWith(`${channel} `));
        for (const job of NOTICES) {
          const lines = new Set(own.filter((line) => line.includes(`${job} failed`)));
          t.is(lines.size, 1, `death ${when} write ${at}: ${job} to ${channel}: ${[...lines].join(" | ")}`);
        }
      }
      t.is((await deliveriesIn(kv)).flatMap(({ items }) => items).length, NOTICES.length * CHANNELS.length);
    }
  });
}

test("a deposed notifier sends nothing", async (t) => {
  const { kv: store } = await runWithDeath(0, "before");
  await store.txn({ then: [{ op: "delete", key: keys.leader }] });
  const refused = Promise.withResolvers<void>();
  const kv: Kv = {
    ...store,
    async txn(txn) {
      const result = await store.txn(txn);
      if (!result.succeeded) refused.resolve();
      return result;
    },
  };
  const deps = { kv, keys, clock: systemClock, random: systemRandom, log: silentLog };
  const views = openViews(deps);
  await views.synced;
  let sends = 0;
  const send: Sender = async () => {
    sends += 1;
    return { ok: true, text: "", tookMs: 0 };
  };
  const term = { revision: 1, guard: exists(keys.leader), ended: new AbortController().signal, trusted: () => true };
  const notifier = startNotifier(
    { ...deps, newId: createIdSource(deps), views, orderLease: createOrderLease(deps), passPoint: () => {}, term, send },
    { gatherMs: 1 },
  );
  await put(kv, keys.notice("j4-1"), noticeOf("j4"));
  await refused.promise;
  t.is(sends, 0);
  t.is((await kv.range(prefixRange(keys.outbox))).count, 1, "nor does it write");
  await notifier.stop();
  await views.close();
});
