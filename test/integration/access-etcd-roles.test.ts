/** `fleetcron etcd-roles` on a real etcd with mutual TLS: a master and agents work under these roles, and an agent's certificate opens nothing of other nodes. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "../support/agent.ts";
import { makeCertificates } from "../support/certificates.ts";
import { createCli } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "done";
  } catch (error) {
    return error instanceof AppError ? `${error.code}: ${/permission denied/.test(error.message)}` : String(error);
  }
}

test("a master and two agents work under least-privilege roles; an agent reaches nothing of the other", async (t) => {
  using certificates = makeCertificates();
  using folder = tempFolder();
  const { ca } = certificates;
  const server = certificates.issue("server");
  const [root, master1, n1, n2] = ["root", "master-1", "n1", "n2"].map((name) => certificates.issue(name));
  if (root === undefined || master1 === undefined || n1 === undefined || n2 === undefined) return t.fail();
  await using etcd = await startEtcd({
    scheme: "https",
    args: ["--cert-file", server.cert, "--key-file", server.key, "--client-cert-auth", "--trusted-ca-file", ca],
  });
  const open = (own: { cert: string; key: string }): Kv =>
    openEtcdKv({ endpoints: etcd.endpoints, tls: { ca, ...own } }, { clock: systemClock });
  const flags = (own: { cert: string; key: string }) => ["--etcd-ca", ca, "--etcd-cert", own.cert, "--etcd-key", own.key];
  const probe = open(root);
  await eventually("etcd serves", () =>
    probe.get("/x").then(
      () => true,
      () => false,
    ),
  );
  const cli = createCli(folder.path);
  const roles = ["etcd-roles", "--masters", "master-1", "--agent", "n1", "--agent", "n2"];
  const script = await cli(roles);
  t.regex(script.out, /etcdctl role grant-permission fleetcron-agent-n1 read --prefix=true \/fleetcron\/dispatch\/n1\/\n/);
  const applied = await cli([...roles, "--apply", "--etcd", etcd.endpoint, ...flags(root)]);
  t.is(applied.code, 0, applied.err);
  t.regex(applied.out, /authentication: on/);
  const repeated = await cli([...roles, "--apply", "--etcd", etcd.endpoint, ...flags(root)]);
  t.is(repeated.code, 0, repeated.err);
  t.regex(repeated.out, /role fleetcron-agent-n1: there already/);
  t.is((await cli([...roles, "--apply", "--etcd", etcd.endpoint])).code, 2);
  t.is((await cli([...roles, "--agent", "n3=n1"])).code, 2, "one user would have two roles");

  await using master = await startMasterProcess({ ...etcd, args: flags(master1) });
  const agent = (nodeId: string, own: { cert: string; key: string }) =>
    startAgentProcess({ etcd: etcd.endpoints, nodeId, folder: folder.path, args: flags(own) });
  await using agent1 = await agent("n1", n1);
  await using agent2 = await agent("n2", n2);
  t.truthy(agent1.pid + agent2.pid);
  const rules = [{ mode: "cycle", timer: "* * * * * *" }];
  const command = (script: string) => ({ command: { script } });
  for (const kind of ["common", "interval", "alone"]) {
    const answer = await master.ask("PUT", `/jobs/demo/${kind}`, { spec: { kind, run: command(`echo ${kind}`), rules } });
    t.is(answer.status, 201, JSON.stringify(answer.body));
  }
  for (const kind of ["common", "interval", "alone"]) {
    await eventually(`${kind} runs and is filed`, async () => {
      const { body } = await master.ask<{ items: { success: boolean; nodeId: string }[] }>("GET", `/records?job=demo/${kind}`);
      const nodes = new Set(body.items.filter(({ success }) => success).map(({ nodeId }) => nodeId));
      return kind === "common" ? nodes.size === 2 : nodes.size > 0;
    });
  }
  await master.ask("PUT", "/jobs/demo/long", {
    spec: {
      kind: "common",
      run: command("echo shown; sleep 60"),
      rules: [{ mode: "cycle", timer: "0 3 * * *", target: { nodes: ["n2"] } }],
    },
  });
  const { body: run } = await eventually("it is ordered", async () => {
    const answer = await master.ask<{ orders: { execution: string }[] }>("POST", "/jobs/demo/long/run");
    return answer.status === 200 ? answer : undefined;
  });
  const execution = run.orders[0]?.execution ?? "";
  await eventually("its log is shown", async () => {
    const response = await fetch(`${master.url}/api/v1/executions/${execution}/log`, {
      headers: { authorization: `Bearer ${master.token}` },
    });
    return response.status === 200 && (await response.text()).includes("shown");
  });
  await eventually("it is killed", async () => (await master.ask("POST", `/executions/${execution}/kill`)).status === 200);
  await eventually(
    "its end is filed",
    async () => (await master.ask<{ state: string }>("GET", `/executions/${execution}`)).body.state === "ended",
  );

  const keys = createKeys();
  const asN1 = open(n1);
  const DENIED = "etcd/refused: true";
  t.is(await codeOf(() => asN1.range(prefixRange(keys.dispatchesOf("n1")))), "done");
  const put = (key: string) => () => asN1.txn({ then: [{ op: "put", key, value: "{}" }] });
  for (const [what, run] of [
    ["read the other's dispatches", () => asN1.range(prefixRange(keys.dispatchesOf("n2")))],
    ["read all dispatches", () => asN1.range(prefixRange(keys.dispatches))],
    ["read the other's orders", () => asN1.range(prefixRange(keys.ordersOf("n2")))],
    ["read the other's secrets", () => asN1.range(prefixRange(keys.boxesOf("n2")))],
    ["read tokens", () => asN1.range(prefixRange(keys.tokens))],
    ["read jobs", () => asN1.get(keys.job("demo", "common"))],
    ["write a job", put(keys.job("demo", "common"))],
    ["write its own dispatch", put(keys.dispatch("n1", "demo", "x"))],
    ["order the other", put(keys.order("n2", "x"))],
    ["order itself", put(keys.order("n1", "x"))],
    ["pose as the other", put(keys.alive("n2"))],
    ["report for the other", put(keys.inboxRecord("n2", "x"))],
    ["file a record", put(keys.record("demo", "common", "x"))],
    ["make a token", put(keys.token("me"))],
    ["lead", put(keys.leader)],
    [
      "make users",
      async () =>
        (await cli([...roles, "--apply", "--etcd", etcd.endpoint, ...flags(n1)])).code === 6 &&
        Promise.reject(new AppError("etcd/refused", "permission denied")),
    ],
  ] as const) {
    t.is(await codeOf(run), DENIED, what);
  }
  await Promise.all([asN1.close(), probe.close()]);
});
