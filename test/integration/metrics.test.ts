import test from "ava";
import { MASTER_METRICS } from "fleetcron/metrics/table";
import { AGENT_METRICS } from "fleetcron-agent/metrics/table";
import { freePorts, startEtcd } from "../support/etcd.ts";
import { eventually, startFleet } from "../support/fleet.ts";

/** The value of a sample, by its name and some of its labels. */
function sampleOf(text: string, name: string, labels = ""): number | undefined {
  const line = text.split("\n").find((one) => (one.startsWith(`${name} `) || one.startsWith(`${name}{`)) && one.includes(labels));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ") + 1));
}

test("master and agent count what they do, and tell of every metric of their tables", async (t) => {
  await using etcd = await startEtcd();
  const [port = 0] = await freePorts(1);
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: [] });
  await fleet.addAgent("a", { args: ["--metrics", `127.0.0.1:${port}`] });
  const authorization = `Bearer ${fleet.token}`;
  const ofMaster = async () => (await fetch(`${fleet.url}/metrics`, { headers: { authorization } })).text();
  const ofAgent = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  t.is((await fetch(`${fleet.url}/metrics`)).status, 401);
  t.is((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  t.is((await fetch(`http://127.0.0.1:${port}/metrics`, { method: "POST" })).status, 405);
  t.is((await fetch(`http://127.0.0.1:${port}/other`)).status, 404);

  const rules = [{ mode: "cycle", timer: "* * * * * *" }] as const;
  await fleet.apply({
    "g/tick": { run: { command: { script: "true" } }, rules },
    "g/fail": { run: { command: { script: "exit 3" } }, rules: [{ mode: "cycle", timer: "@yearly" }] },
  });
  await eventually("a tick ran", async () => (sampleOf(await ofAgent(), "fleetcron_agent_start_skew_seconds_count") ?? 0) > 1);
  await fleet.api.runJob({ group: "g", id: "fail" }, {});
  await eventually(
    "the failure is filed",
    async () => (sampleOf(await ofMaster(), "fleetcron_master_records_filed_total", 'outcome="exit",success="false"') ?? 0) === 1,
  );

  const [master, agent] = [await ofMaster(), await ofAgent()];
  for (const name of Object.keys(MASTER_METRICS)) t.true(master.includes(`# TYPE ${name} `), name);
  for (const name of Object.keys(AGENT_METRICS)) t.true(agent.includes(`# TYPE ${name} `), name);
  t.is(sampleOf(master, "fleetcron_master_leading"), 1);
  t.is(sampleOf(master, "fleetcron_master_jobs"), 2);
  t.is(sampleOf(master, "fleetcron_master_nodes", 'online="true"'), 1);
  t.is(sampleOf(master, "fleetcron_master_ready"), 1);
  t.true((sampleOf(master, "fleetcron_master_dispatch_lag_seconds_count") ?? 0) >= 1);
  t.true((sampleOf(master, "fleetcron_master_http_requests_total", 'route="/api/v1/apply"') ?? 0) === 1);
  t.is(sampleOf(master, "fleetcron_master_http_requests_total", 'route="/metrics",status="401"'), 1);
  t.true((sampleOf(master, "fleetcron_master_etcd_call_seconds_count", "txn") ?? 0) > 1);
  t.true((sampleOf(agent, "fleetcron_agent_ticks_total", 'fate="fire"') ?? 0) > 1);
  t.true((sampleOf(agent, "fleetcron_agent_starts_total") ?? 0) > 2);
  t.is(sampleOf(agent, "fleetcron_agent_records_total", 'success="false"'), 1);
  t.true((sampleOf(agent, "fleetcron_agent_session_trusted_seconds") ?? 0) > 0);
  t.true((sampleOf(agent, "fleetcron_agent_capacity") ?? 0) > 0);
  t.true(agent.includes("nodejs_eventloop_lag_p99_seconds"));
  t.false(/job=|group=|g\/tick/.test(master + agent), "nothing of single jobs");

  await etcd.kill();
  await eventually("the master is not ready, and says why", async () => {
    const answer = await fetch(`${fleet.url}/readyz`);
    return answer.status === 503 && /etcd does not answer/.test(await answer.text());
  });
  t.is((await fetch(`${fleet.url}/healthz`)).status, 200);
  await eventually("the agent says so too", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 503);
  t.is(sampleOf(await ofAgent(), "fleetcron_agent_session_trusted_seconds"), 0);
  await etcd.restart();
  await eventually("all is well again", async () => (await fetch(`${fleet.url}/readyz`)).status === 200);
});

test("a master that does not lead is ready, and says who leads", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: [], masters: 2 });
  const urls = fleet.masters.map(({ ready }) => (ready as { url: string }).url);
  const answers = await eventually("one leads", async () => {
    const both = await Promise.all(
      urls.map(async (url) => (await (await fetch(`${url}/readyz`)).json()) as { status: string; notes: string[] }),
    );
    return both.some(({ notes }) => notes.length === 0) ? both : undefined;
  });
  t.deepEqual(
    answers.map(({ status }) => status),
    ["ok", "ok"],
  );
  t.is(answers.filter(({ notes }) => notes.some((note) => /does not lead: .+ does/.test(note))).length, 1);
});
