/** What the store's fault tests share: an etcd behind a fault proxy, a writer beside it, and a mirror whose truth can be compared with etcd's. */
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { type EtcdServer, startEtcd } from "./etcd.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";

export const storeDeps = { clock: systemClock, random: systemRandom, log: silentLog };

/** Resolves when `condition` holds; rejects with `what` when it does not within `timeoutMs`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<number> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await systemClock.sleep(5);
  }
  return performance.now() - startedAt;
}

/** A mirror of `prefix` that keeps what it was told and counts what it should never be told. */
export function observe(kv: Kv, prefix: string, options: { resyncMs?: number } = {}) {
  const held = new Map<string, { value: string; modRevision: number }>();
  const faults: string[] = [];
  let puts = 0;
  let lists = 0;
  const mirror = openMirror(
    { ...storeDeps, kv },
    {
      prefix,
      ...options,
      onSynced: () => {
        lists += 1;
      },
      onEvents(events) {
        for (const event of events) {
          if (event.type === "delete") {
            if (!held.delete(event.key)) faults.push(`delete of unknown ${event.key}`);
            continue;
          }
          const { key, value, modRevision } = event.kv;
          const before = held.get(key);
          if (before && before.modRevision >= modRevision && lists < 2)
            faults.push(`${key} went from ${before.modRevision} to ${modRevision}`);
          held.set(key, { value, modRevision });
          puts += 1;
        }
      },
    },
  );
  /** Whether the mirror holds exactly what etcd holds. */
  const agrees = async (truth: Kv): Promise<boolean> => {
    const { kvs } = await truth.range(prefixRange(prefix));
    return (
      kvs.length === held.size &&
      kvs.every((found) => held.get(found.key)?.modRevision === found.modRevision && held.get(found.key)?.value === found.value)
    );
  };
  return { mirror, held, faults, puts: () => puts, lists: () => lists, agrees, [Symbol.asyncDispose]: mirror.close };
}

export type FaultyEtcd = {
  etcd: EtcdServer;
  proxy: FaultProxy;
  writer: Kv;
  through: Kv;
  put(key: string, value: string): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** One etcd; `writer` reaches it directly, `through` by way of the proxy. */
export async function startFaultyEtcd(options: { callTimeoutMs?: number } = {}): Promise<FaultyEtcd> {
  const etcd = await startEtcd();
  const proxy = await startFaultProxy(etcd.port);
  const writer = openEtcdKv({ endpoints: etcd.endpoints, callTimeoutMs: 5000 }, storeDeps);
  const through = openEtcdKv({ endpoints: [proxy.endpoint], ...options }, storeDeps);
  return {
    etcd,
    proxy,
    writer,
    through,
    put: async (key, value) => (await writer.txn({ then: [{ op: "put", key, value }] })).revision,
    async [Symbol.asyncDispose]() {
      await through.close();
      await writer.close();
      await proxy.close();
      await etcd.stop();
    },
  };
}

/** Puts `count` values as fast as 32 writers can, on `keys` different keys; returns the last revision. */
export async function putMany(kv: Kv, prefix: string, count: number, keys = 100): Promise<number> {
  let next = 0;
  let revision = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (next < count) {
        const i = next++;
        const done = await kv.txn({ then: [{ op: "put", key: `${prefix}${i % keys}`, value: String(i) }] });
        revision = Math.max(revision, done.revision);
      }
    }),
  );
  return revision;
}

export async function compact(etcd: EtcdServer, revision: number): Promise<void> {
  const answer = await fetch(`${etcd.endpoint}/v3/kv/compaction`, { method: "POST", body: JSON.stringify({ revision: String(revision) }) });
  if (!answer.ok) throw new Error(`compaction failed: ${await answer.text()}`);
}
