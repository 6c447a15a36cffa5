/** The etcd adapter: the shared contract on a real etcd, and the errors that people see. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { KV_CONTRACT } from "fleetcron-shared/store/kv-contract";
import { type EtcdServer, freePorts, startEtcd } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";

let etcd: EtcdServer;
test.before(async () => {
  etcd = await startEtcd();
});
test.after.always(() => etcd.stop());

const open = (endpoints: readonly string[], callTimeoutMs = 5000) => openEtcdKv({ endpoints, callTimeoutMs }, { clock: systemClock });

async function compact(revision: number): Promise<void> {
  await fetch(`${etcd.endpoint}/v3/kv/compaction`, { method: "POST", body: JSON.stringify({ revision: String(revision) }) });
}

for (const [i, { name, run }] of KV_CONTRACT.entries()) {
  test.serial(name, async (t) => {
    const connections = [open(etcd.endpoints)];
    const connect = () => {
      const kv = open(etcd.endpoints);
      connections.push(kv);
      return kv;
    };
    const [kv] = connections;
    if (kv) await run({ kv, prefix: `/contract/${i}/`, connect, compact });
    for (const each of connections) await each.close();
    t.pass();
  });
}

test.serial("nobody listens: unreachable at once, for reads and writes, and the endpoint is named", async (t) => {
  const [port] = await freePorts(1);
  const kv = open([`http://127.0.0.1:${port}`]);
  const startedAt = performance.now();
  for (const call of [kv.get("/a"), kv.txn({ then: [{ op: "put", key: "/a", value: "" }] }), kv.keepAlive("1"), kv.grantLease(1000)]) {
    const error = await t.throwsAsync(call, { instanceOf: AppError });
    t.is(error?.code, "etcd/unreachable");
    t.true(error?.message.includes(`127.0.0.1:${port}`), error?.message);
  }
  t.true(performance.now() - startedAt < 1000);
  await kv.close();
});

test.serial("a frozen etcd: calls end at their deadline, a write with an unknown outcome", async (t) => {
  await using own = await startEtcd();
  const kv = open(own.endpoints, 500);
  await kv.get("/a");
  own.pause();
  const startedAt = performance.now();
  const [read, write] = await Promise.all([
    t.throwsAsync(kv.get("/a"), { instanceOf: AppError }),
    t.throwsAsync(kv.txn({ then: [{ op: "put", key: "/a", value: "1" }] }), { instanceOf: AppError }),
  ]);
  t.true(performance.now() - startedAt < 1500);
  t.deepEqual([read?.code, write?.code], ["etcd/unreachable", "etcd/unknown-outcome"]);
  own.resume();
  await kv.txn({ then: [{ op: "put", key: "/b", value: "1" }] });
  t.is((await kv.get("/b"))?.value, "1");
  await kv.close();
});

test.serial("out of space: refused, and the alarm is named", async (t) => {
  await using own = await startEtcd({ args: ["--quota-backend-bytes", "300000"] });
  const kv = open(own.endpoints);
  let error: unknown;
  for (let i = 0; i < 200 && error === undefined; i++) {
    error = await kv.txn({ then: [{ op: "put", key: `/a${i}`, value: "x".repeat(50_000) }] }).then(
      () => undefined,
      // A busy disk may make a write outlast its deadline.
      (thrown: unknown) => (isCode(thrown, "etcd/unknown-outcome", "etcd/unreachable") ? undefined : thrown),
    );
  }
  t.true(
    error instanceof AppError && error.code === "etcd/refused" && error.message.includes("alarm NOSPACE") && error.hint?.includes("defrag"),
    String(error),
  );
  await kv.close();
});

test("wrong endpoints are named", (t) => {
  for (const endpoint of ["", "http://", "ftp://a:1", "http://a:1/path"]) {
    const error = t.throws(() => open([endpoint]), { instanceOf: AppError });
    t.is(error?.code, "config/invalid", endpoint);
  }
  t.is(t.throws(() => open([]), { instanceOf: AppError })?.code, "config/invalid");
});

test.serial("stores of one process share a connection, unless names tell them apart", async (t) => {
  const proxy = await startFaultProxy(etcd.port);
  const connections = async (names: readonly (string | undefined)[]) => {
    const stores = names.map((connection) => openEtcdKv({ endpoints: [proxy.endpoint], connection }, { clock: systemClock }));
    await Promise.all(stores.map((kv) => kv.get("/a")));
    const count = proxy.connections;
    for (const kv of stores) await kv.close();
    proxy.drop();
    return count;
  };
  t.is(await connections([undefined, undefined]), 1);
  t.is(await connections(["a", "b", "c"]), 3);
  await proxy.close();
});
