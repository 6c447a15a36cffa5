import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { Delivery } from "fleetcron-shared/model/notice";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { type FakeAgent, joinFleet, keys, someRecord } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { type Reply, startHttpTarget } from "../support/targets.ts";

const ARGS = ["--session-ttl", "2s", "--notify-allow", "127.0.0.1", "--notify-timeout", "1s"];
const FAILED: Partial<ExecutionRecord> = { success: false, outcome: { type: "exit", code: 1 } };
const TOKEN = "tok3n-that-nobody-may-see";

/** Channels by name, each with a job g/<name> whose failures go there. */
function files(channels: Readonly<Record<string, object>>, notify: object = { on: ["failure"] }) {
  const jobs = Object.keys(channels).map((name) => [
    `g/${name}`,
    { run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "@yearly" }], notify: [{ ...notify, to: [name] }] },
  ]);
  return { files: [{ name: "t.json", text: JSON.stringify({ channels, jobs: Object.fromEntries(jobs) }) }] };
}

async function deliveriesOf(kv: Kv, channel?: string): Promise<Delivery[]> {
  const prefix = channel === undefined ? keys.deliveries : keys.deliveriesOf(channel);
  return (await kv.range(prefixRange(prefix))).kvs.map((entry) => JSON.parse(entry.value) as Delivery);
}

type World = AsyncDisposable & { readonly kv: Kv; readonly master: MasterProcess; readonly agent: FakeAgent };

async function begin(etcd: EtcdServer): Promise<World> {
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const master = await startMasterProcess({ ...etcd, args: ARGS });
  const end = async () => {
    await master.stop();
    await kv.close();
  };
  return { kv, master, agent: await joinFleet(kv, "a"), [Symbol.asyncDispose]: end };
}

test("each channel goes its own way: slow, broken and dead ones delay neither the others nor the filing", async (t) => {
  const answers: Record<string, Reply[]> = {
    "/fine": [{ status: 200 }],
    "/broken": [{ status: 500 }, { status: 200 }],
    "/busy": [{ status: 429, headers: { "retry-after": "7" } }, { status: 200 }],
    "/redirect": [{ status: 302, headers: { location: "/fine" } }],
    "/never": ["never"],
    "/reset": ["reset", { status: 200 }],
    "/refusing": [{ status: 400, body: "bad" }],
  };
  await using target = await startHttpTarget((request, count) => {
    const list = answers[request.path] ?? [];
    return list[Math.min(count, list.length - 1)] ?? { status: 404 };
  });
  await using etcd = await startEtcd();
  await using world = await begin(etcd);
  const { kv, master, agent } = world;
  const names = Object.keys(answers).map((path) => path.slice(1));
  const channels = Object.fromEntries(names.map((name) => [name, { atMostEvery: "0", webhook: { url: `${target.url}/${name}` } }]));
  t.is((await master.ask("POST", "/apply", files(channels))).status, 200);
  const began = systemClock.mono();
  for (const name of names) await agent.deliver(someRecord("a", `g/${name}`, FAILED));

  await eventually("all are filed", async () => (await kv.range(prefixRange(keys.inbox))).count === 0);
  t.true(systemClock.mono() - began < 3000, "filing waits for nobody");
  await eventually("the good one is there", async () => target.at("/fine").length === 1, 5000);
  for (const path of ["/broken", "/reset", "/busy"]) await eventually(`${path} is tried again`, async () => target.at(path).length === 2);
  for (const path of ["/broken", "/reset", "/busy"]) {
    const [first, second] = target.at(path);
    t.is(first!.headers["webhook-id"], second!.headers["webhook-id"], `${path}: one id`);
    t.deepEqual(first!.body, second!.body);
    t.true(second!.atMs - first!.atMs >= (path === "/busy" ? 7000 : 2500), `${path}: after ${second!.atMs - first!.atMs} ms`);
  }
  const states = await eventually("all are noted", async () => {
    const all = Object.fromEntries((await deliveriesOf(kv)).map((one) => [one.channel, one]));
    return all.busy?.state === "delivered" && all.never?.last !== undefined && all;
  });
  t.like(states.fine!, { state: "delivered", tries: 1 });
  t.like(states.broken!, { state: "delivered", tries: 2 });
  t.like(states.refusing!, { state: "failed", last: "HTTP 400: bad" });
  t.like(states.redirect!, { state: "sealed" });
  t.regex(states.redirect!.last!, /redirect to another place of the same host, which is not followed/);
  t.regex(states.never!.last!, /no answer within 1 s/);
  t.is(target.at("/fine").length, 1, "nobody followed the redirect");
  t.is((await kv.range(prefixRange(keys.outbox))).count, 0);

  const list = await master.ask<{ items: { id: string; channel: string; titles: string[] }[] }>("GET", "/deliveries?state=failed");
  t.deepEqual(
    list.body.items.map(({ channel, titles }) => [channel, titles[0]]),
    [["refusing", "g/refusing failed on a: exit code 1"]],
  );
  answers["/refusing"] = [{ status: 200 }];
  const { id } = states.refusing!;
  t.is((await master.ask("POST", `/deliveries/${id}/retry`)).status, 200);
  await eventually("it is delivered after all", async () => (await deliveriesOf(kv, "refusing"))[0]?.state === "delivered");
  t.deepEqual(
    target.at("/refusing").map(({ headers }) => headers["webhook-id"]),
    [id, id],
  );
  t.like(await master.ask("POST", `/deliveries/${id}/retry`), { status: 409, body: { code: "delivery/not-failed" } });
});

test("a leader killed between the delivery and its note: the next one sends it again, under the same id", async (t) => {
  let kill: (() => Promise<void>) | undefined;
  await using target = await startHttpTarget(async () => {
    await kill?.();
    kill = undefined;
    return { status: 200 };
  });
  await using etcd = await startEtcd();
  await using world = await begin(etcd);
  const { kv, master, agent } = world;
  await master.ask("POST", "/apply", files({ ops: { atMostEvery: "0", webhook: { url: `${target.url}/` } } }));
  await using second = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
  const [first, later] = [someRecord("a", "g/ops", FAILED), someRecord("a", "g/ops", { ...FAILED, outcome: { type: "exit", code: 2 } })];
  kill = async () => {
    await master.kill();
    await agent.deliver(later);
  };
  await agent.deliver(first);
  const done = await eventually("the second leader has delivered both", async () => {
    const all = await deliveriesOf(kv, "ops");
    return all.length === 2 && all.every(({ state }) => state === "delivered") && all.map(({ id }) => id).sort();
  });
  t.deepEqual(
    target.received.map(({ headers }) => headers["webhook-id"]),
    [done[0], done[0], done[1]],
  );
  t.deepEqual(target.received[0]!.body, target.received[1]!.body, "what came meanwhile is not in it");
  t.is((await second.ask<{ items: object[] }>("GET", "/deliveries")).body.items.length, 2);
});

test("1,000 failures are a few messages that count all of them, and a redelivered record is none", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  await using etcd = await startEtcd();
  await using world = await begin(etcd);
  const { kv, master, agent } = world;
  await master.ask("POST", "/apply", files({ ops: { atMostEvery: "2s", webhook: { url: `${target.url}/` } } }));
  const records = Array.from({ length: 1000 }, () => someRecord("a", "g/ops", FAILED));
  for (let at = 0; at < records.length; at += 100) {
    await kv.txn({
      then: records.slice(at, at + 100).map((one) => ({ op: "put", key: keys.inboxRecord("a", one.id), value: JSON.stringify(one) })),
    });
  }
  const countOf = (body: Record<string, unknown>) =>
    (body.omitted as number) + (body.notices as { count: number }[]).reduce((sum, { count }) => sum + count, 0);
  const total = () => target.received.reduce((sum, { body }) => sum + countOf(body), 0);
  await eventually("all are told", async () => total() === 1000);
  t.true(target.received.length <= 5, `${target.received.length} messages`);
  await agent.deliver(records[5]!);
  await agent.deliver(someRecord("a", "g/ops", FAILED));
  await eventually("one more is told", async () => total() === 1001);
  t.is(new Set(target.received.map(({ headers }) => headers["webhook-id"])).size, target.received.length);
});

test("final failures once, recovery once; secrets are in etcd when they are inline, and nowhere else", async (t) => {
  await using target = await startHttpTarget((_, count) => (count === 0 ? { status: 403, body: `no ${TOKEN}` } : { status: 200 }));
  await using etcd = await startEtcd();
  await using world = await begin(etcd);
  const { kv, master, agent } = world;
  const channel = {
    atMostEvery: "0",
    webhook: { url: `${target.url}/${TOKEN}`, secret: `${TOKEN}-2`, headers: { "x-key": `${TOKEN}-3` } },
  };
  const answers: unknown[] = [];
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await master.ask(method, path, body);
    answers.push(answer.body);
    return answer;
  };
  const notify = { on: ["finalFailure", "recovery"] };
  await ask("POST", "/apply", files({ ops: channel }, notify));
  await ask("POST", "/apply", files({ ops: { ...channel, webhook: { ...channel.webhook, secret: `${TOKEN}-4` } } }, notify));
  for (const more of [{ ...FAILED, finalAttempt: false }, FAILED, FAILED, {}, {}]) await agent.deliver(someRecord("a", "g/ops", more));
  const done = await eventually("all is told", async () => {
    const all = await deliveriesOf(kv, "ops");
    return all.length > 0 && all.every(({ state }) => state === "delivered") && all.flatMap(({ items }) => items);
  });
  t.deepEqual(
    done.map(({ notice }) => notice.events[0]),
    ["finalFailure", "recovery"],
  );
  t.is((await ask("POST", "/channels/ops/test")).body.ok, true);
  for (const path of ["/channels", "/channels/ops", "/deliveries", "/jobs/g/ops"]) await ask("GET", path);
  await ask("PUT", "/channels/ops", { spec: { webhook: { url: `ftp://${TOKEN}` } } });
  await ask("PUT", "/channels/ops", { spec: (await ask("GET", "/channels/ops")).body.spec });
  t.like(answers.at(-1), { code: "input/invalid" }, "a masked value is no secret");
  t.like((await ask("DELETE", "/channels/ops")).body, { code: "channel/in-use" });
  const told = JSON.stringify(answers) + JSON.stringify(await deliveriesOf(kv)) + master.log();
  t.false(told.includes(TOKEN), told.slice(Math.max(0, told.indexOf(TOKEN) - 200), told.indexOf(TOKEN) + 50));
  t.regex(told, /HTTP 403: no \*{8}/);
  t.like((answers[1] as { changes: object[] }).changes[0], { action: "updated", diff: ["~ a secret value"] });
});
