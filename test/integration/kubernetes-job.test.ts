/** Kubernetes Jobs through the runner's port, against an API that speaks as the real one: what is created, how it ends, what is logged. */
import test from "ava";
import { jobYaml, startBench } from "../support/kube-api/session.ts";
import { until } from "../support/processes.ts";

test("a Job is created with variables, labels and limits, and its end is the end of the run", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    pod.log("main", "one\ntwo");
    pod.exit("main", 0);
  };
  const manifest = jobYaml('env: [{ name: OWN, value: "$(PLACE)!" }, { name: KEPT, value: mine }]');
  const session = bench.start({ manifest }, { env: { PLACE: "here", KEPT: "theirs", FLEETCRON_RUN: "r/1" }, timeoutMs: 90_000 });
  t.deepEqual(await session.done, { outcome: { type: "exit", code: 0 } });
  t.is(session.log(), "one\ntwo");
  const [job] = bench.api.store.list("jobs", "work");
  t.regex(job?.metadata.name ?? "", /^build-[0-9a-f]{12}$/);
  t.is(job?.metadata.annotations?.["fleetcron.io/job"], "demo/build");
  t.is(job?.metadata.annotations?.["fleetcron.io/owner"], "01JTEST-1");
  t.is(job?.metadata.labels?.["fleetcron.io/job"], "demo-build");
  t.is(job?.metadata.labels?.["fleetcron.io/run"], "r-1");
  t.is(job?.metadata.labels?.["fleetcron.io/node"], "node-a");
  t.like(job?.spec, { backoffLimit: 0, ttlSecondsAfterFinished: 3600, activeDeadlineSeconds: 150 });
  t.like(bench.api.pods[0]?.env("main"), { OWN: "here!", KEPT: "mine", PLACE: "here", FLEETCRON_JOB: "build" });
  t.is(bench.api.pods[0]?.env("main").FLEETCRON_RESULT, undefined);
  t.like(JSON.parse(session.traces[0] ?? ""), { name: job?.metadata.name, namespace: "work", uid: job?.metadata.uid });
});

test("what the manifest says about its own limits stays", async (t) => {
  await using bench = await startBench();
  const spec = "backoffLimit: 2\n  activeDeadlineSeconds: 7\n  ttlSecondsAfterFinished: 60";
  await bench.start({ manifest: jobYaml(undefined, { spec, pod: "restartPolicy: OnFailure" }) }, { timeoutMs: 1000 }).done;
  const [job] = bench.api.store.list("jobs", "work");
  t.like(job?.spec, { backoffLimit: 2, ttlSecondsAfterFinished: 60, activeDeadlineSeconds: 7 });
  t.is(job?.spec.template.spec.restartPolicy, "OnFailure");
});

test("secrets reach the containers through a Secret that is gone when the run is over", async (t) => {
  await using bench = await startBench();
  const order: string[] = [];
  bench.api.store.listen(
    ({ type, plural }) => void (["jobs", "secrets"].includes(plural) && type !== "MODIFIED" && order.push(`${type} ${plural}`)),
  );
  const session = bench.start(
    { manifest: jobYaml('command: [/bin/sh, -c, "printf %s \\"$TOKEN\\" | wc -c"]') },
    { secrets: { TOKEN: "s3cret-va$(lue)" } },
  );
  bench.api.podScript = async (pod) => void (await pod.run("main"));
  t.deepEqual((await session.done).outcome, { type: "exit", code: 0 });
  t.is(session.log().trim(), "15");
  t.deepEqual(order, ["ADDED jobs", "ADDED secrets", "DELETED secrets"]);
  const job = JSON.stringify(bench.api.store.list("jobs", "work"));
  t.false(job.includes("s3cret"));
  t.false(session.traces.join().includes("s3cret"));
  t.true(
    bench.api.requests.some(({ body }) =>
      JSON.stringify(body ?? "").includes(`"uid":"${bench.api.store.list("jobs", "work")[0]?.metadata.uid}"`),
    ),
  );
});

test("a failing container's exit code is the run's, and that of the first one counts", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    pod.exit("main", 3);
  };
  t.deepEqual((await bench.start({ manifest: jobYaml() }).done).outcome, { type: "exit", code: 3 });
  const init = jobYaml(undefined, { pod: "restartPolicy: Never\n      initContainers: [{ name: clone, image: git }]" });
  bench.api.podScript = async (pod) => {
    await pod.start("clone");
    pod.log("clone", "no such branch\n");
    pod.exit("clone", 128);
  };
  const session = bench.start({ manifest: init }, { attempt: 2 });
  t.deepEqual((await session.done).outcome, { type: "exit", code: 128 });
  t.is(session.log(), "clone | no such branch\n");
});

test("failures that are no exit code have a code of their own", async (t) => {
  await using bench = await startBench();
  let attempt = 10;
  const outcomeOf = async (script: typeof bench.api.podScript, more = {}) => {
    bench.api.podScript = script;
    return (await bench.start({ manifest: jobYaml(), stuckTimeout: "100ms", ...more }, { attempt: attempt++ }).done).outcome;
  };
  const failed = (code: string) => ({ type: "failed", code });

  t.deepEqual(
    await outcomeOf(async (pod) => {
      await pod.start("main");
      pod.exit("main", 137, "OOMKilled");
    }),
    { type: "oom" },
  );
  t.like(
    await outcomeOf(async (pod) => {
      await pod.start("main");
      pod.evict("The node was low on resource: memory.");
    }),
    failed("kubernetes/evicted"),
  );
  t.like(
    await outcomeOf((pod) => {
      pod.schedule();
      pod.waiting("main", "ImagePullBackOff", "Back-off pulling image");
    }),
    failed("kubernetes/imagePull"),
  );
  t.like(
    await outcomeOf((pod) => {
      pod.schedule();
      pod.waiting("main", "CreateContainerConfigError", 'configmap "x" not found');
    }),
    failed("kubernetes/createContainer"),
  );
  const unschedulable = await outcomeOf((pod) => pod.unschedulable("0/3 nodes are available: 3 Insufficient cpu."));
  t.like(unschedulable, failed("kubernetes/unschedulable"));
  t.regex(JSON.stringify(unschedulable), /Insufficient cpu/);
  // What was given up does not go on in the cluster.
  t.is(bench.api.store.list("jobs", "work").filter(({ status }) => status?.conditions === undefined).length, 0);
  const hopeless = await outcomeOf(
    (pod) => {
      pod.schedule();
      pod.waiting("main", "InvalidImageName", "couldn't parse image name");
    },
    {
      stuckTimeout: "1h",
    },
  );
  t.like(hopeless, failed("kubernetes/imagePull"));
  const lateCode = await outcomeOf(async (pod) => {
    await pod.start("main");
    await until("it is followed", () => bench.api.watches === 2);
    bench.api.store.destroy("pods", "work", pod.name, {});
    pod.exit("main", 143);
  });
  t.like(lateCode, failed("kubernetes/deleted"));
});

test("an activeDeadlineSeconds that passes is told apart from other failures", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    await pod.terminating;
    pod.exit("main", 143);
  };
  const { outcome } = await bench.start({ manifest: jobYaml(undefined, { spec: "activeDeadlineSeconds: 1" }) }).done;
  t.like(outcome, { type: "failed", code: "kubernetes/deadline" });
});

test("pods that cannot be made or prepared are explained by the cluster's events", async (t) => {
  await using bench = await startBench();
  bench.api.refusePods = 'pods "x" is forbidden: exceeded quota: small';
  const quota = (await bench.start({ manifest: jobYaml(), stuckTimeout: "100ms" }).done).outcome;
  t.like(quota, { type: "failed", code: "kubernetes/noPod" });
  t.regex(JSON.stringify(quota), /exceeded quota/);
  bench.api.refusePods = undefined;
  bench.api.podScript = (pod) => {
    pod.schedule();
    const { uid } = pod.pod()?.metadata ?? { uid: "" };
    bench.api.store.create("events", {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: "mount", namespace: "work" } as never,
      involvedObject: { uid },
      type: "Warning",
      reason: "FailedMount",
      message: 'secret "registry" not found',
      lastTimestamp: "2027-01-01T00:00:00Z",
    });
  };
  const mount = (await bench.start({ manifest: jobYaml(), stuckTimeout: "100ms" }, { attempt: 2 }).done).outcome;
  t.like(mount, { type: "failed", code: "kubernetes/createContainer" });
  t.regex(JSON.stringify(mount), /FailedMount: secret \\"registry\\" not found/);
});

test("a Job that somebody deletes is not a success, and not waited for", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    await pod.terminating;
    pod.exit("main", 143);
  };
  const session = bench.start({ manifest: jobYaml() });
  await until("the pod runs", () => bench.api.pods[0]?.pod()?.status.phase === "Running");
  bench.api.store.destroy("jobs", "work", bench.api.store.list("jobs", "work")[0]?.metadata.name ?? "", {});
  t.like((await session.done).outcome, { type: "failed", code: "kubernetes/deleted" });
});

test("the cluster's refusals are told in its own words", async (t) => {
  await using bench = await startBench();
  const wrong = (await bench.start({ manifest: jobYaml("comand: [x]") }).done).outcome;
  t.like(wrong, { type: "failed", code: "kubernetes/invalid" });
  t.regex(JSON.stringify(wrong), /unknown field \\"spec.template.spec.containers\[0\].comand\\"/);
  const policy = (await bench.start({ manifest: jobYaml(undefined, { pod: "restartPolicy: Always" }) }).done).outcome;
  t.regex(JSON.stringify(policy), /kubernetes\/invalid.*Unsupported value/);
  t.like((await bench.start({ manifest: jobYaml(), namespace: "missing" }).done).outcome, { type: "failed", code: "kubernetes/invalid" });
  bench.api.onRequest = ({ verb }) => (verb === "create" ? { status: 403 } : undefined);
  const forbidden = (await bench.start({ manifest: jobYaml() }).done).outcome;
  t.like(forbidden, { type: "failed", code: "kubernetes/forbidden" });
  t.regex(JSON.stringify(forbidden), /cannot create resource \\"jobs\\"/);
  bench.api.onRequest = ({ plural }) => (plural === "secrets" ? { status: 403 } : undefined);
  t.like((await bench.start({ manifest: jobYaml() }, { secrets: { A: "b" }, attempt: 2 }).done).outcome, {
    type: "failed",
    code: "kubernetes/forbidden",
  });
  t.is(bench.api.store.list("jobs", "work").length, 0, "a Job without its Secret is not left behind");
});

test("a Job of the same name that belongs to somebody else is left alone", async (t) => {
  await using bench = await startBench();
  await bench.start({ manifest: jobYaml() }).done;
  const [job] = bench.api.store.list("jobs", "work");
  const { name } = job?.metadata ?? { name: "" };
  bench.api.store.update("jobs", "work", name, ({ metadata }) => {
    metadata.annotations = {};
  });
  const { outcome } = await bench.start({ manifest: jobYaml() }).done;
  t.like(outcome, { type: "failed", code: "kubernetes/conflict" });
  t.is(bench.api.store.get("jobs", "work", name)?.metadata.uid, job?.metadata.uid);
});
