/** What the fields of a well-shaped `run.kubernetes` mean together: everything that is found without a cluster. Pure. */
import type { ShapeIssue } from "../../base/zod-issues.ts";
import { isRecord, type Manifest, readManifest } from "./kubernetes-manifest.ts";
import type { KubernetesSpec } from "./kubernetes-spec.ts";
import { parseTemplate, textsIn } from "./template.ts";

export const ROLLOUT_KINDS = ["Deployment", "StatefulSet", "DaemonSet"] as const;
export type RolloutKind = (typeof ROLLOUT_KINDS)[number];

/** A Job that vanishes sooner could not be seen to have ended. */
export const MIN_TTL_SECONDS = 60;

type Wrong = { readonly path: readonly (string | number)[]; readonly message: string; readonly hint?: string };

/** Everything that is wrong; paths begin inside the spec, and lines are those of the manifest. */
export function checkKubernetes(spec: KubernetesSpec): ShapeIssue[] {
  const { manifest, setImage, wait } = spec;
  if ((manifest === undefined) === (setImage === undefined)) {
    const message = `${manifest === undefined ? "neither manifest nor setImage is" : "both manifest and setImage are"} given; exactly one is needed`;
    return [{ path: [], message }];
  }
  const texts = wrongTexts({
    ...(setImage === undefined ? {} : { setImage }),
    ...(spec.namespace === undefined ? {} : { namespace: spec.namespace }),
  });
  if (texts.length > 0) return texts.map(({ path, message, hint }) => ({ path, message, ...(hint === undefined ? {} : { hint }) }));
  if (manifest === undefined) {
    if (wait !== "job") return [];
    return [
      { path: ["wait"], message: '"job" is for a manifest of a Job; setImage changes what runs', hint: "use rollout, or leave it out" },
    ];
  }
  const read = readManifest(manifest);
  const at = (line: number, { message, hint }: { readonly message: string; readonly hint?: string }): ShapeIssue => ({
    path: ["manifest"],
    message: `line ${line} of the manifest: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  });
  if ("issues" in read) return read.issues.map((issue) => at(issue.line, issue));
  return [...wrongManifest(read.manifest, spec), ...wrongTexts(read.manifest), ...wrongNames(read.manifest, [])].map((wrong) =>
    at(read.lineOf(wrong.path), wrong),
  );
}

/** What is wrong with a manifest that could be read; asked again by the runner, which knows the values of its variables. */
export function wrongManifest(manifest: Manifest, spec: Pick<KubernetesSpec, "wait" | "namespace">): Wrong[] {
  const { apiVersion, kind, metadata } = manifest;
  const own = metadata.namespace;
  const elsewhere: Wrong[] =
    spec.namespace === undefined || own === undefined || own === spec.namespace
      ? []
      : [
          {
            path: ["metadata", "namespace"],
            message: `the namespace is ${String(own)}, and the job's field namespace says ${spec.namespace}`,
            hint: "keep one of them",
          },
        ];
  if (kind === "Job") {
    if (apiVersion !== "batch/v1") return [{ path: ["apiVersion"], message: `found ${apiVersion}; a Job is of batch/v1` }];
    if (spec.wait === "rollout")
      return [
        {
          path: ["kind"],
          message: "wait: rollout is for a Deployment, StatefulSet or DaemonSet, and this is a Job",
          hint: "use wait: job, or leave it out",
        },
      ];
    return [...elsewhere, ...wrongJob(manifest)];
  }
  if (!(ROLLOUT_KINDS as readonly string[]).includes(kind)) {
    return [
      {
        path: ["kind"],
        message: `found ${kind}; allowed: Job, ${ROLLOUT_KINDS.join(", ")}`,
        hint: "other objects are applied with kubectl in a command",
      },
    ];
  }
  if (apiVersion !== "apps/v1") return [{ path: ["apiVersion"], message: `found ${apiVersion}; a ${kind} is of apps/v1` }];
  if (spec.wait === "job")
    return [{ path: ["kind"], message: `wait: job is for a Job, and this is a ${kind}`, hint: "use wait: rollout, or leave it out" }];
  if (metadata.name === undefined || metadata.name === "")
    return [{ path: ["metadata"], message: "metadata.name is missing", hint: `it says which ${kind} is applied` }];
  return [...elsewhere, ...wrongStrategy(manifest)];
}

/** What cannot be a variable. */
function wrongTexts(value: unknown): Wrong[] {
  return textsIn(value).flatMap(({ path, text }) => {
    const template = parseTemplate(text);
    return "problem" in template
      ? [{ path, message: template.problem, hint: "write $${ for a plain ${, for example where a shell shall expand it" }]
      : [];
  });
}

function wrongNames(value: unknown, path: readonly (string | number)[]): Wrong[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => wrongNames(item, [...path, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]): Wrong[] => [
    ...(name.includes("${")
      ? [{ path: [...path, name], message: `the field name "${name}" has a variable in it; only values are replaced` }]
      : []),
    ...wrongNames(item, [...path, name]),
  ]);
}

function wrongJob(manifest: Manifest): Wrong[] {
  const spec = manifest.spec;
  if (!isRecord(spec) || !isRecord(spec.template) || !isRecord(spec.template.spec))
    return [{ path: ["spec"], message: "spec.template.spec with the containers is missing" }];
  const wrong: Wrong[] = [];
  const containers = spec.template.spec.containers;
  if (!Array.isArray(containers) || containers.length === 0)
    wrong.push({ path: ["spec", "template", "spec"], message: "spec.template.spec.containers is missing or empty" });
  const ttl = spec.ttlSecondsAfterFinished;
  if (typeof ttl === "number" && ttl < MIN_TTL_SECONDS) {
    const message = `ttlSecondsAfterFinished is ${ttl}; a Job that is removed so soon may be gone before the agent has seen how it ended`;
    wrong.push({ path: ["spec", "ttlSecondsAfterFinished"], message, hint: `at least ${MIN_TTL_SECONDS}, or leave it out (one hour)` });
  }
  if (spec.suspend === true) wrong.push({ path: ["spec", "suspend"], message: "a suspended Job never begins", hint: "leave it out" });
  return wrong;
}

function wrongStrategy(manifest: Manifest): Wrong[] {
  const spec = manifest.spec;
  if (!isRecord(spec) || !isRecord(spec.updateStrategy) || spec.updateStrategy.type !== "OnDelete") return [];
  const message = "a rollout with updateStrategy OnDelete never ends: its pods are replaced only when somebody deletes them";
  return [{ path: ["spec", "updateStrategy"], message, hint: "use RollingUpdate" }];
}
