/** Kubernetes Jobs while things break: cut streams, forgotten revisions, lost answers, an API that is away, crashes of the runner, being asked to end. */
import { writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { startFaultProxy } from "../support/fault-proxy.ts";
import type { PodHandle } from "../support/kube-api/kubelet.ts";
import { jobYaml, kubeconfigText, startBench } from "../support/kube-api/session.ts";
import { until } from "../support/processes.ts";

const SUCCESS = { outcome: { type: "exit", code: 0 } };

/** The Job's pod, once its container runs; the test decides what becomes of it. */
async function runningPod(bench: { api: { pods: PodHandle[] } }, index = 0): Promise<PodHandle> {
  const pod = await until("the pod is there", () => bench.api.pods[index]);
  await until("it runs", () => pod.pod()?.status.phase === "Running");
  return pod;
}

test("an answer that is lost does not make a second Job", async (t) => {
  await using bench = await startBench();
  let cuts = 0;
  bench.api.onRequest = ({ verb, plural }) => (verb === "create" && plural === "jobs" && cuts++ === 0 ? "cutAnswer" : undefined);
  const session = bench.start({ manifest: jobYaml() });
  t.deepEqual(await session.done, SUCCESS);
  t.is(cuts, 2, "the second request was told that it is there already");
  t.is(bench.api.store.list("jobs", "work").length, 1);
  t.is(bench.api.pods.length, 1);
});

for (const how of ["cut", "ended", "forgotten, told by status", "forgotten, told by an event"] as const) {
  test(`watches that are ${how} lose nothing`, async (t) => {
    await using bench = await startBench();
    bench.api.podScript = (pod) => pod.start("main");
    const session = bench.start({ manifest: jobYaml() });
    const pod = await runningPod(bench);
    await until("both watches are there", () => bench.api.watches === 2);
    bench.api.expireByEvent = how.endsWith("event");
    const lists = () => bench.api.requests.filter(({ verb }) => verb === "list").length;
    const before = lists();
    let refused = 0;
    // What happens while no watch is there must come with the next one, or with the list.
    bench.api.onRequest = ({ verb }) => (verb === "watch" && refused++ < 2 ? "cut" : undefined);
    if (how === "ended") bench.api.endWatches();
    else bench.api.cutWatches();
    pod.log("main", "done\n");
    pod.exit("main", 0);
    if (how.startsWith("forgotten")) bench.api.store.compact();
    t.deepEqual(await session.done, SUCCESS);
    t.is(session.log(), "done\n");
    // One list of pods is for the end.
    t.is(lists() - before > 1, how.startsWith("forgotten"));
  });
}

test("a bookmark moves the revision on, so that a cut watch need not list again", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = (pod) => pod.start("main");
  const session = bench.start({ manifest: jobYaml() });
  const pod = await runningPod(bench);
  await until("both watches are there", () => bench.api.watches === 2);
  bench.api.store.compact();
  bench.api.bookmark();
  const revision = String(bench.api.store.revision);
  bench.api.endWatches();
  await until(
    "both watches are there again",
    () => bench.api.requests.filter(({ query }) => query.get("resourceVersion") === revision).length === 2,
  );
  pod.exit("main", 0);
  t.deepEqual(await session.done, SUCCESS);
  t.is(bench.api.requests.filter(({ verb }) => verb === "list").length, 3);
});

test("the API is away in the middle: the run goes on, and its log is whole", async (t) => {
  await using bench = await startBench();
  await using proxy = await startFaultProxy(bench.api.port);
  writeFileSync(bench.kubeconfig, kubeconfigText(proxy.port));
  bench.api.podScript = (pod) => pod.start("main");
  const session = bench.start({ manifest: jobYaml() });
  const pod = await runningPod(bench);
  pod.log("main", "before\n");
  await until("the log is followed", () => session.log() === "before\n");
  proxy.cut();
  pod.log("main", "while away\n");
  pod.exit("main", 4);
  proxy.open();
  t.deepEqual((await session.done).outcome, { type: "exit", code: 4 });
  t.is(session.log(), "before\nwhile away\n");
});

test("a cluster that cannot be reached is unreachable, and one whose certificate or credentials are wrong is not", async (t) => {
  await using bench = await startBench();
  bench.api.onRequest = () => "cut";
  const { outcome } = await bench.start({ manifest: jobYaml() }).done;
  t.is(outcome.type, "unreachable");
  t.regex(JSON.stringify(outcome), /cannot look for the Job work\/build-.*http:\/\/127\.0\.0\.1:\d+ does not answer/);
  bench.api.onRequest = () => ({ status: 503, message: "not ready" });
  t.is((await bench.start({ manifest: jobYaml() }).done).outcome.type, "unreachable");
  bench.api.onRequest = () => ({ status: 401, message: "Unauthorized" });
  t.like((await bench.start({ manifest: jobYaml() }).done).outcome, { type: "failed", code: "kubernetes/forbidden" });
});

test("a busy server is asked again when it says", async (t) => {
  await using bench = await startBench({ timing: { reachMs: 20_000 } });
  const asked = new Map<string, number[]>();
  bench.api.onRequest = ({ verb, plural }) => {
    const times = [...(asked.get(`${verb} ${plural}`) ?? []), systemClock.mono()];
    asked.set(`${verb} ${plural}`, times);
    if (times.length > 1) return undefined;
    return { status: verb === "create" ? 503 : 429, headers: { "retry-after": "1" }, message: "too many requests" };
  };
  t.deepEqual(await bench.start({ manifest: jobYaml() }, {}).done, SUCCESS);
  for (const what of ["get jobs", "create jobs", "list jobs"]) {
    const [first = 0, second = 0] = asked.get(what) ?? [];
    t.true(second - first >= 990, what);
  }
  t.is(bench.api.pods.length, 1);
});

test("logs that are cut again and again have each line once", async (t) => {
  await using bench = await startBench();
  const lines = Array.from({ length: 400 }, (_, i) => `line ${i}\n`);
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    for (const [index, line] of lines.entries()) {
      pod.log("main", line);
      if (index % 40 !== 39) continue;
      await until("the log is followed", () => bench.api.requests.some(({ verb }) => verb === "log"));
      bench.api.cutLogs();
      await until("again", () => bench.api.requests.filter(({ verb }) => verb === "log").length > index / 40);
    }
    pod.log("main", "no line end");
    pod.exit("main", 0);
  };
  const session = bench.start({ manifest: jobYaml() });
  t.deepEqual(await session.done, SUCCESS);
  t.is(session.log(), `${lines.join("")}no line end`);
});

test("a runner that crashes finds its Job again and goes on with the log where it was", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = (pod) => pod.start("main");
  const first = bench.start({ manifest: jobYaml() });
  const pod = await runningPod(bench);
  pod.log("main", "one\ntwo\n");
  await until("both lines are in the trace", () => first.traces.some((trace) => trace.includes("since") && first.log() === "one\ntwo\n"));
  const trace = first.traces.at(-1);
  // A crash leaves nothing behind; here the first one is merely forgotten.
  pod.log("main", "three\n");
  const second = bench.recover({ manifest: jobYaml() }, trace);
  await until("the second follows", () => second.log() !== "");
  pod.exit("main", 0);
  t.deepEqual(await second.done, SUCCESS);
  t.is(second.log(), "three\n");
  t.is(bench.api.pods.length, 1);
  await first.done;
});

test("recovered without a trace it is created once, and found if it was", async (t) => {
  await using bench = await startBench();
  t.deepEqual(await bench.recover({ manifest: jobYaml() }, undefined).done, SUCCESS);
  t.is(bench.api.pods.length, 1);
  t.deepEqual(await bench.recover({ manifest: jobYaml() }, undefined).done, SUCCESS);
  t.is(bench.api.pods.length, 1, "the Job that is over was found");
});

test("recovered with a trace, a Job that is not there was deleted; after its time it is lost", async (t) => {
  await using bench = await startBench();
  const first = bench.start({ manifest: jobYaml() });
  await first.done;
  const trace = JSON.parse(first.traces[0] ?? "{}");
  bench.api.store.destroy("jobs", "work", trace.name, {});
  t.like((await bench.recover({ manifest: jobYaml() }, JSON.stringify(trace)).done).outcome, {
    type: "failed",
    code: "kubernetes/deleted",
  });
  const old = JSON.stringify({ ...trace, atMs: trace.atMs - 7_200_000 });
  t.deepEqual((await bench.recover({ manifest: jobYaml() }, old).done).outcome, { type: "lost", why: "session" });
  t.is(bench.api.pods.length, 1);
});

test("TERM deletes the Job and waits for its pods, which end in their own time", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    await pod.terminating;
    pod.log("main", "cleaning up\n");
    pod.exit("main", 0);
  };
  const session = bench.start({ manifest: jobYaml() });
  await runningPod(bench);
  await until("the log is followed", () => bench.api.requests.some(({ verb }) => verb === "log"));
  session.kill("TERM");
  t.deepEqual((await session.done).outcome, { type: "signal", name: "SIGTERM" });
  t.is(session.log(), "cleaning up\n");
  t.deepEqual([...bench.api.store.list("jobs", "work"), ...bench.api.store.list("pods", "work")], []);
});

test("KILL does not wait for a pod that does not end, nor for an API that does not answer", async (t) => {
  await using bench = await startBench({ timing: { killMs: 1500 } });
  bench.api.podScript = (pod) => pod.start("main");
  const session = bench.start({ manifest: jobYaml() });
  await runningPod(bench);
  session.kill("TERM");
  await until("the Job is being deleted", () => bench.api.store.list("jobs", "work")[0]?.metadata.deletionTimestamp !== undefined);
  session.kill("KILL");
  t.deepEqual((await session.done).outcome, { type: "signal", name: "SIGKILL" });
  t.deepEqual([...bench.api.store.list("jobs", "work"), ...bench.api.store.list("pods", "work")], []);

  const another = bench.start({ manifest: jobYaml() }, { attempt: 2 });
  await runningPod(bench, 1);
  bench.api.onRequest = () => "hang";
  another.kill("KILL");
  t.deepEqual((await another.done).outcome, { type: "signal", name: "SIGKILL" });
  t.regex(another.warnings.join(), /may (still )?be there/);
});

test("TERM before the Job is there leaves none behind", async (t) => {
  await using bench = await startBench();
  let creates = 0;
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    await pod.terminating;
    pod.exit("main", 143);
  };
  bench.api.onRequest = ({ verb }) => (verb === "create" && creates++ === 0 ? "cutAnswer" : verb === "create" ? "hang" : undefined);
  const session = bench.start({ manifest: jobYaml() });
  await until("the second request hangs", () => creates === 2);
  session.kill("TERM");
  t.deepEqual((await session.done).outcome, { type: "signal", name: "SIGTERM" });
  t.deepEqual(bench.api.store.list("jobs", "work"), []);
});
