/** Rollouts through the runner's port: applied or with a new image, followed to their end, stuck, superseded, recovered. */
import test from "ava";
import { type RolloutScript, ready } from "../support/kube-api/controllers.ts";
import { type Bench, startBench } from "../support/kube-api/session.ts";
import type { Stored } from "../support/kube-api/store.ts";
import { until } from "../support/processes.ts";

const SUCCESS = { outcome: { type: "exit", code: 0 } };

function workloadYaml(kind = "Deployment", image = "app:${VERSION}", more = ""): string {
  return `apiVersion: apps/v1
kind: ${kind}
metadata: { name: web }
spec:
  ${kind === "DaemonSet" ? "" : "replicas: 2"}
  selector: { matchLabels: { app: web } }
  ${more}
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: app, image: "${image}" }, { name: side, image: "side:1" }] }
`;
}

/** What runs already, at version 1. */
async function existing(bench: Bench, kind = "Deployment"): Promise<Stored> {
  await bench.start({ manifest: workloadYaml(kind) }, { execution: "OLD", env: { VERSION: "1" } }).done;
  return bench.api.store.need(`${kind.toLowerCase()}s`, "work", "web");
}

test("a manifest is applied and followed step by step to its end", async (t) => {
  await using bench = await startBench();
  const steps = [
    { replicas: 2, updatedReplicas: 0 },
    { replicas: 3, updatedReplicas: 2 },
    { replicas: 2, updatedReplicas: 2, availableReplicas: 1 },
  ];
  bench.api.rolloutScript = async ({ object, status }) => {
    for (const step of steps) {
      status(step);
      await until("the step was told", () => session.log().split("\n").length > steps.indexOf(step) + 3);
    }
    status(ready(object));
  };
  const session = bench.start({ manifest: workloadYaml() }, { env: { VERSION: "2" } });
  t.deepEqual(await session.done, SUCCESS);
  t.regex(
    session.log(),
    /applying the Deployment work\/web\n.*0 of 2 new replicas.*\n.*1 old replicas.*\n.*1 of 2 updated replicas are available\n.*2 of 2 replicas are updated and available/s,
  );
  const patch = bench.api.requests.find(({ verb }) => verb === "patch");
  t.is(patch?.contentType, "application/apply-patch+yaml");
  t.like(Object.fromEntries(patch?.query ?? []), { fieldManager: "fleetcron", force: "true", fieldValidation: "Strict" });
  const object = bench.api.store.need("deployments", "work", "web");
  t.is(object.spec.template.spec.containers[0].image, "app:2");
  t.is(object.metadata.annotations?.["fleetcron.io/owner"], "01JTEST-1");
  t.is(
    object.spec.template.metadata.annotations,
    undefined,
    "the pods' template is as it was written, so that nothing is rolled out for nothing",
  );
});

for (const kind of ["StatefulSet", "DaemonSet"]) {
  test(`a ${kind} is followed by its own rules`, async (t) => {
    await using bench = await startBench();
    bench.api.rolloutScript = async ({ status, object }) => {
      status(
        kind === "StatefulSet"
          ? { readyReplicas: 2, updatedReplicas: 1, currentRevision: "r1", updateRevision: "r2" }
          : { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 },
      );
      await until("it was told", () => session.log().includes("1 of 2"));
      status(ready(object));
    };
    const session = bench.start({ manifest: workloadYaml(kind) }, { env: { VERSION: "2" } });
    t.deepEqual(await session.done, SUCCESS);
  });
}

test("setImage changes the image of one container and nothing else", async (t) => {
  await using bench = await startBench();
  const before = await existing(bench);
  const setImage = { kind: "Deployment", name: "web", container: "app", image: "registry/app:${VERSION}" } as const;
  let conflicts = 0;
  bench.api.onRequest = ({ verb }) => {
    // Somebody else changes it between the look and the patch.
    if (verb === "patch" && conflicts++ === 0)
      bench.api.store.update("deployments", "work", "web", (object) => {
        object.spec.replicas = 5;
      });
    return undefined;
  };
  const session = bench.start({ setImage }, { env: { VERSION: "7" } });
  t.deepEqual(await session.done, SUCCESS);
  const after = bench.api.store.need("deployments", "work", "web");
  t.deepEqual(after.spec.template.spec.containers, [
    { ...before.spec.template.spec.containers[0], image: "registry/app:7" },
    before.spec.template.spec.containers[1],
  ]);
  t.is(after.spec.replicas, 5);
  t.is(conflicts, 2);
  const { outcome } = await bench.start({ setImage: { ...setImage, container: "nope" } }, { env: { VERSION: "7" }, attempt: 2 }).done;
  t.like(outcome, { type: "failed", code: "kubernetes/invalid" });
  t.regex(JSON.stringify(outcome), /no container \\"nope\\"; its containers: app, side/);
  const hostile = (await bench.start({ setImage: { ...setImage, name: "${N}" } }, { env: { VERSION: "7", N: "../../secrets" } }).done)
    .outcome;
  t.like(hostile, { type: "failed", code: "runner/spec" });
});

const stuckScripts: Record<string, { kind: string; script: RolloutScript; words: RegExp; more?: string }> = {
  "exceeds its deadline": {
    kind: "Deployment",
    script({ status, pod }) {
      pod("web-new", {
        phase: "Pending",
        containerStatuses: [{ name: "app", state: { waiting: { reason: "ImagePullBackOff", message: "Back-off pulling" } } }],
      });
      status({
        updatedReplicas: 1,
        conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "timed out progressing" }],
      });
    },
    words: /timed out progressing; the image app:2 of container app of the pod web-new cannot be pulled: ImagePullBackOff/,
  },
  "crashes again and again": {
    kind: "StatefulSet",
    script({ status, pod }) {
      pod("web-0", {
        phase: "Running",
        containerStatuses: [
          {
            name: "app",
            restartCount: 4,
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 2, reason: "Error" } },
          },
        ],
      });
      status({ readyReplicas: 1, currentRevision: "r1", updateRevision: "r2" });
    },
    words: /crashes again and again; the last time with exit code 2/,
  },
  "is paused": { kind: "Deployment", script: ({ status }) => status({}), words: /is paused/, more: "paused: true" },
};

for (const [what, { kind, script, words, more }] of Object.entries(stuckScripts)) {
  test(`a rollout that ${what} fails with the reason`, async (t) => {
    await using bench = await startBench();
    bench.api.rolloutScript = script;
    const { outcome } = await bench.start({ manifest: workloadYaml(kind, undefined, more), stuckTimeout: "1s" }, { env: { VERSION: "2" } })
      .done;
    t.like(outcome, { type: "failed", code: "kubernetes/rolloutStuck" });
    t.regex(JSON.stringify(outcome), words);
  });
}

test("a rollout that is overtaken, or whose object is deleted, does not succeed", async (t) => {
  await using bench = await startBench();
  bench.api.rolloutScript = ({ status }) => status({ updatedReplicas: 0 });
  const first = bench.start({ manifest: workloadYaml() }, { env: { VERSION: "2" } });
  await until("it is followed", () => bench.api.watches === 1);
  const second = bench.start({ manifest: workloadYaml() }, { env: { VERSION: "3" }, execution: "NEXT" });
  const overtaken = (await first.done).outcome;
  t.like(overtaken, { type: "failed", code: "kubernetes/conflict" });
  t.regex(JSON.stringify(overtaken), /NEXT-1/);
  await until("the second is followed", () => bench.api.watches === 1 && second.traces.length === 1);
  bench.api.store.destroy("deployments", "work", "web", {});
  t.like((await second.done).outcome, { type: "failed", code: "kubernetes/deleted" });
});

test("TERM stops following and says that the rollout goes on", async (t) => {
  await using bench = await startBench();
  bench.api.rolloutScript = ({ status }) => status({ updatedReplicas: 0 });
  const session = bench.start({ manifest: workloadYaml() }, { env: { VERSION: "2" } });
  await until("it is followed", () => bench.api.watches === 1);
  session.kill("TERM");
  t.deepEqual((await session.done).outcome, { type: "signal", name: "SIGTERM" });
  t.regex(session.log(), /the rollout of the Deployment work\/web is not followed any more, but goes on/);
  t.not(bench.api.store.get("deployments", "work", "web"), undefined);
});

test("a runner that crashes follows what it has applied and does not apply it again", async (t) => {
  await using bench = await startBench();
  bench.api.rolloutScript = ({ status }) => status({ updatedReplicas: 0 });
  const manifest = workloadYaml();
  const first = bench.start({ manifest }, { env: { VERSION: "2" } });
  await until("the trace is there", () => first.traces.length > 0);
  const patches = () => bench.api.requests.filter(({ verb }) => verb === "patch").length;
  for (const trace of [first.traces[0], undefined]) {
    const again = bench.recover({ manifest }, trace, { env: { VERSION: "2" } });
    await until("it is followed again", () => again.traces.length > 0);
    again.kill("TERM");
    await again.done;
  }
  t.is(patches(), 1);
  bench.api.store.update("deployments", "work", "web", ({ metadata }) => {
    metadata.annotations = { "fleetcron.io/owner": "OTHER-1" };
  });
  t.like((await bench.recover({ manifest }, first.traces[0], { env: { VERSION: "2" } }).done).outcome, {
    type: "failed",
    code: "kubernetes/conflict",
  });
  t.like((await first.done).outcome, { type: "failed", code: "kubernetes/conflict" });
  t.is(patches(), 1);
});

test("an answer that is lost, and watches that are cut, do not disturb a rollout", async (t) => {
  await using bench = await startBench();
  let lost = 0;
  bench.api.onRequest = ({ verb }) => (verb === "patch" && lost++ === 0 ? "cutAnswer" : undefined);
  bench.api.rolloutScript = async ({ status, object }) => {
    status({ updatedReplicas: 0 });
    await until("it is followed", () => bench.api.watches === 1);
    bench.api.store.compact();
    bench.api.cutWatches();
    status(ready(object));
  };
  t.deepEqual(await bench.start({ manifest: workloadYaml() }, { env: { VERSION: "2" } }).done, SUCCESS);
});
