import test from "ava";
import { checkShape } from "../../base/zod-issues.ts";
import { checkKubernetes } from "./kubernetes-check.ts";
import { readManifest } from "./kubernetes-manifest.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { KubernetesSpec } from "./kubernetes-spec.ts";

const JOB = `apiVersion: batch/v1
kind: Job
metadata: { name: build }
spec:
  template:
    spec:
      containers: [{ name: main, image: "\${IMAGE}" }]
`;
const WEB = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { template: { spec: { containers: [] } } }
`;
const IMAGE = { kind: "Deployment", name: "web", container: "app", image: "app:1" } as const;

const wrong: [string, KubernetesSpec, RegExp][] = [
  ["neither", {}, /neither manifest nor setImage/],
  ["both", { manifest: JOB, setImage: IMAGE }, /both manifest and setImage/],
  ["several documents", { manifest: `${JOB}---\n${WEB}` }, /line 9 of the manifest: the manifest has 2 documents/],
  ["no YAML", { manifest: "a: [1\nb: 2" }, /line 2 of the manifest/],
  ["a field twice", { manifest: `${JOB}kind: Job\n` }, /line 8 of the manifest/],
  ["no object", { manifest: "- a" }, /not an object/],
  ["empty", { manifest: "# nothing" }, /is empty/],
  ["a list", { manifest: "apiVersion: v1\nkind: List\nitems: []" }, /line 3 of the manifest: the manifest is a list/],
  ["no kind", { manifest: "apiVersion: v1" }, /kind is missing/],
  [
    "another kind",
    { manifest: JOB.replace("kind: Job", "kind: CronJob") },
    /line 2 of the manifest: found CronJob; allowed: Job, Deployment/,
  ],
  ["another version", { manifest: JOB.replace("batch/v1", "batch/v1beta1") }, /line 1 of the manifest: found batch\/v1beta1/],
  ["a Job that is waited for as a rollout", { manifest: JOB, wait: "rollout" }, /line 2 .*wait: rollout is for/],
  ["a Deployment that is waited for as a Job", { manifest: WEB, wait: "job" }, /line 2 .*wait: job is for a Job/],
  ["setImage that is waited for as a Job", { setImage: IMAGE, wait: "job" }, /"job" is for a manifest/],
  ["no containers", { manifest: JOB.replace(/containers: .*/, "containers: []") }, /line 6 .*containers is missing or empty/],
  ["gone too soon", { manifest: JOB.replace("spec:\n", "spec:\n  ttlSecondsAfterFinished: 0\n") }, /line 5 .*ttlSecondsAfterFinished is 0/],
  ["suspended", { manifest: JOB.replace("spec:\n", "spec:\n  suspend: true\n") }, /line 5 .*never begins/],
  [
    "OnDelete",
    { manifest: WEB.replace("Deployment", "DaemonSet").replace("spec: {", "spec: { updateStrategy: { type: OnDelete },") },
    /line 4 .*OnDelete never ends/,
  ],
  ["no name", { manifest: WEB.replace("name: web", "") }, /metadata.name is missing/],
  ["two namespaces", { manifest: JOB.replace("name: build", "namespace: a"), namespace: "b" }, /line 3 .*the namespace is a/],
  ["what is no variable", { manifest: JOB.replace("IMAGE", "A:-b") }, /line 7 .*no variable/],
  ["a variable as a field", { manifest: JOB.replace("metadata: {", 'metadata: { "${A}": b,') }, /line 3 .*only values are replaced/],
  ["what is no variable in setImage", { setImage: { ...IMAGE, image: "a:${" } }, /no variable/],
];

for (const [what, spec, words] of wrong) {
  test(`refused: ${what}`, (t) => {
    const issues = checkKubernetes(spec);
    t.regex(issues.map(({ message, hint }) => `${message} ${hint ?? ""}`).join("\n"), words);
    t.is(checkShape(kubernetesSchema, spec).issues, undefined);
  });
}

test("accepted: a Job, a Deployment, an image", (t) => {
  for (const spec of [{ manifest: JOB }, { manifest: WEB, wait: "rollout" }, { setImage: IMAGE }] as const)
    t.deepEqual(checkKubernetes(spec), []);
});

test("YAML is read as kubectl reads it", (t) => {
  const read = readManifest(
    "apiVersion: v1\nkind: K\nspec: { mode: 0600, octal: 0o600, time: 1:30, day: 2027-01-01, on: yes, text: 'yes' }\n",
  );
  t.like(read, { manifest: { spec: { mode: 0o600, octal: 0o600, time: "1:30", day: "2027-01-01", text: "yes" } } });
});

test("anchors that multiply are refused", (t) => {
  const lines = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(", ")}]`);
  const read = readManifest(`apiVersion: v1\nkind: K\na0: &a0 x\n${lines.join("\n")}\n`);
  t.true("issues" in read);
});
