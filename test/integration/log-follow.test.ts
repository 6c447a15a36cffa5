/** Logs through etcd: read in parts and followed from any master, on real agents, while they are written, when they have ended, and when something dies. */
import { existsSync, writeFileSync } from "node:fs";
import test from "ava";
import { prefixRange } from "fleetcron-shared/store/kv";
import { createCli, expectRun, startCli } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually, startFleet } from "../support/fleet.ts";
import { collect, ended, runScript } from "../support/log-fleet.ts";
import { textOf, until } from "../support/processes.ts";

const never = new AbortController().signal;

test("a log is followed as it is written, from any master and from where a reader was, to the end of the execution", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"], masters: 2 });
  const job = await runScript(fleet, "live", "echo one; hold; echo two; hold; printf 'three'; exit 3");

  const first = await collect(fleet.api.followLog(job.execution, {}, undefined, never), (text) => text.includes("one"));
  t.is(first.text, "one\n");
  t.is(first.lastId, "1:4");
  const all = collect(fleet.apiOf(1).followLog(job.execution, {}, undefined, never));
  const rest = collect(fleet.apiOf(1).followLog(job.execution, {}, first.lastId, never));
  const last = collect(fleet.api.followLog(job.execution, { tail: 1 }, undefined, never));
  const orders = async () =>
    (await fleet.kv.range({ ...prefixRange(fleet.keys.ordersOf("n1")) })).kvs.filter((kv) => kv.value.includes('"log"'));
  await eventually("three are followed", async () => (await orders()).length === 3);
  job.release();
  job.release();
  t.is((await all).text, "one\ntwo\nthree");
  t.is((await rest).text, "two\nthree");
  t.is((await last).text, "one\ntwo\nthree");
  t.is((await all).types.at(-1), "end");
  t.deepEqual((await rest).skipped, 0);
  await eventually("nobody is shown anything any more", async () => (await orders()).length === 0);

  const again = await collect(fleet.api.followLog(job.execution, {}, "1:8", never));
  t.is(again.text, "three", "an ended one is told from its record");
});

test("the attempts of an execution are followed one after the other, however short they are; one alone when asked for", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  const script = 'echo "try $FLEETCRON_ATTEMPT"; test $FLEETCRON_ATTEMPT != 1 || hold; test $FLEETCRON_ATTEMPT = 4';
  const job = await runScript(fleet, "tries", script, { retry: { limit: 3, delay: "1ms" } });
  const all = collect(fleet.api.followLog(job.execution, {}, undefined, never));
  const one = collect(fleet.api.followLog(job.execution, { attempt: 1 }, undefined, never));
  const third = collect(fleet.api.followLog(job.execution, { attempt: 3 }, undefined, never));
  await eventually("all three are followed", async () => {
    const { kvs } = await fleet.kv.range(prefixRange(fleet.keys.ordersOf("n1")));
    return kvs.filter((kv) => kv.value.includes('"log"')).length === 3;
  });
  job.release();
  t.is((await all).text, "try 1\ntry 2\ntry 3\ntry 4\n");
  t.is((await one).text, "try 1\n");
  t.is((await third).text, "try 3\n");
  const after = await collect(fleet.api.followLog(job.execution, {}, "2:4", never));
  t.is(after.text, "2\ntry 3\ntry 4\n", "a reader who stopped in an earlier attempt goes on there");
});

test("`run logs -f` goes on when its master is killed or stopped and comes back", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  const job = await runScript(fleet, "long", "echo one; hold; echo two; hold; echo three; hold; echo four");
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  const shown = startCli(fleet.folder, ["run", "logs", "-f", job.execution], { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  await eventually("it shows the first line", async () => shown.out() === "one\n");
  await fleet.masters[0]?.kill();
  job.release();
  await fleet.masters[0]?.restart();
  await eventually("it goes on", async () => shown.out() === "one\ntwo\n", 60_000);
  t.is(await fleet.masters[0]?.stop(), 0, "readers do not keep a master from stopping");
  job.release();
  await fleet.masters[0]?.restart();
  await eventually("it goes on again", async () => shown.out() === "one\ntwo\nthree\n", 60_000);
  job.release();
  t.is(await shown.exited, 0, shown.err());
  t.is(shown.out(), "one\ntwo\nthree\nfour\n");
  await ended(fleet, job.execution);
  await expectRun(t, cli, ["run", "logs", job.execution, "--tail", "1"], { code: 0, out: /^four\n$/ });
  await expectRun(t, cli, ["run", "logs", job.execution, "--head", "2"], { code: 0, out: /^one\ntwo\n$/ });
  await expectRun(t, cli, ["run", "logs", job.execution, "--from", "4"], { code: 0, out: /^two\nthree\nfour\n$/ });
  await expectRun(t, cli, ["run", "logs", job.execution, "--attempt", "2"], { code: 3, err: /has no attempt 2: it ended with attempt 1/ });
  await expectRun(t, cli, "run logs 01ARZ3NDEKTSV4RRFFQ69G5FAV", { code: 3, err: /no execution/ });
  await expectRun(t, cli, ["run", "logs", "-f", "--head", "1", job.execution], { code: 2, err: /--follow and --head exclude each other/ });
});

test("an agent that is away is said to be, and followed on when it is back", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  const job = await runScript(fleet, "away", "echo one; hold; echo two");
  const seen = { text: "" };
  const followed = collect(fleet.api.followLog(job.execution, {}, undefined, never), (text) => {
    seen.text += text;
    return false;
  });
  await eventually("the first line is shown", async () => seen.text === "one\n");
  fleet.agent("n1").pause();
  await eventually("the agent is offline", async () => (await fleet.api.node("n1")).online === false);
  const refused = await t.throwsAsync(fleet.api.log(job.execution, { attempt: 1 }));
  t.like(refused, { code: "node/not-online" });
  t.regex(refused?.message ?? "", /the log is on node n1, and its agent is not online/);
  fleet.agent("n1").resume();
  job.release();
  t.is((await followed).text, "one\ntwo\n");
});

test("an agent that is killed and started again shows its executions on, from where a reader was", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  const job = await runScript(fleet, "survivor", "echo one; hold; echo two; hold; echo three");
  const seen = { text: "" };
  const followed = collect(fleet.api.followLog(job.execution, {}, undefined, never), (text) => {
    seen.text += text;
    return false;
  });
  await eventually("the first line is shown", async () => seen.text === "one\n");
  await fleet.agent("n1").kill();
  job.release();
  await fleet.agent("n1").restart();
  await eventually("it goes on", async () => seen.text === "one\ntwo\n");
  job.release();
  t.is((await followed).text, "one\ntwo\nthree\n");
});

test("a secret is shown to nobody: not while its parts are written, not in a part that is asked for, not in the file that stays", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  writeFileSync(fleet.file("password"), "hunter2-and-more", { mode: 0o600 });
  const script =
    'echo "begin $PW"; printf "%s" "$PW" | head -c 9; hold; printf "%s" "$PW" | tail -c 7; echo; yes | head -c 20000; echo "$PW end"';
  const secrets = { PW: { file: fleet.file("password") } };
  const job = await runScript(fleet, "secret", script, { secrets });
  const stars = "*".repeat("hunter2-and-more".length);
  const seen = { text: "" };
  const followed = collect(fleet.api.followLog(job.execution, {}, undefined, never), (text) => {
    seen.text += text;
    return false;
  });
  await eventually("the beginning is shown", async () => seen.text === `begin ${stars}\n`);
  t.is(String((await fleet.api.log(job.execution, {})).bytes), `begin ${stars}\n`);
  job.release();
  const whole = `begin ${stars}\n${stars}\n${"y\n".repeat(10_000)}${stars} end\n`;
  t.is((await followed).text, whole);
  await ended(fleet, job.execution);
  t.is(String((await fleet.api.log(job.execution, {})).bytes), whole);
  const path = fleet.file(`data-n1/exec/${job.execution}-1`);
  await until("the file itself is masked", () => textOf(`${path}.log`) === whole && !existsSync(`${path}.secrets`));
});
