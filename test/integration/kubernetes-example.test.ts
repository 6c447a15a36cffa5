/** examples/kubernetes.yaml as it stands: its jobs against the API, with containers that do what a cluster's would. */
import { readFileSync } from "node:fs";
import test from "ava";
import { checkKubernetes } from "fleetcron-shared/model/runners/kubernetes-check";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import { parse } from "yaml";
import { startBench } from "../support/kube-api/session.ts";

type Example = { jobs: Record<string, { params: { name: string; value?: string }[]; run: { kubernetes: KubernetesSpec } }> };
const example = parse(readFileSync(new URL("../../examples/kubernetes.yaml", import.meta.url), "utf8")) as Example;

function jobOf(id: string): { spec: KubernetesSpec; env: Record<string, string> } {
  const job = example.jobs[id];
  const env = Object.fromEntries((job?.params ?? []).map(({ name, value = "" }) => [name, value]));
  return {
    spec: job?.run.kubernetes ?? {},
    env: { ...env, GIT_URL: "git@git.example.org:shop/web.git", VERSION: "1.4.2", GIT_BRANCH: "feature/a b" },
  };
}

test("its jobs are accepted", (t) => {
  for (const [id, { run }] of Object.entries(example.jobs)) t.deepEqual(checkKubernetes(run.kubernetes), [], id);
});

test("the image is built by kaniko from what git has fetched", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    for (const name of ["clone", "kaniko"]) {
      await pod.start(name);
      pod.log(name, `${name} is done\n`);
      pod.exit(name, 0);
    }
  };
  const { spec, env } = jobOf("cd/image-build");
  const session = bench.start(spec, { env });
  t.deepEqual(await session.done, { outcome: { type: "exit", code: 0 } });
  t.regex(session.log(), /clone \| clone is done\n[\s\S]*kaniko \| kaniko is done\n|kaniko \|/);
  const pod = bench.api.store.list("jobs", "work")[0]?.spec.template.spec;
  t.is(pod.volumes[1].secret.defaultMode, 0o600);
  t.deepEqual(pod.containers[0].args.slice(1, 4), [
    "--dockerfile=Dockerfile",
    "--destination=registry.example.org/shop/web:1.4.2",
    "--cache=true",
  ]);
  t.is(bench.api.pods[0]?.env("clone").GIT_BRANCH, "feature/a b");
});

test("what was applied gets a new image", async (t) => {
  await using bench = await startBench();
  const apply = jobOf("cd/deploy-apply");
  t.deepEqual(await bench.start(apply.spec, { env: apply.env }).done, { outcome: { type: "exit", code: 0 } });
  const image = jobOf("cd/deploy-image");
  t.deepEqual(await bench.start(image.spec, { env: { ...image.env, VERSION: "1.4.3" }, attempt: 2 }).done, {
    outcome: { type: "exit", code: 0 },
  });
  t.is(bench.api.store.need("deployments", "shop", "web").spec.template.spec.containers[0].image, "registry.example.org/shop/web:1.4.3");
});
