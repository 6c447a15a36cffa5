/** The Job that an attempt becomes, and the Secret that goes with it: names, labels, variables, limits. Pure. */
import { createHash } from "node:crypto";
import { isRecord, type Manifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import type { SessionContext } from "../runner.ts";
import { literal } from "./fill.ts";
import type { Job } from "./objects.ts";

export const PREFIX = "fleetcron.io/";
/** Who an object belongs to: `<execution>-<attempt>`. */
export const OWNER = `${PREFIX}owner`;

const TTL_SECONDS = 3600;
/** Beyond the job's timeout: the agent ends it in time; this is for when the agent is gone. */
const DEADLINE_MARGIN_S = 60;
/** Pods of an indexed Job add an index and five letters, and a host name has 63. */
const MAX_BASE = 40;
/** Files of the agent's host. */
const NOT_IN_A_POD = new Set(["FLEETCRON_RESULT"]);

export type Identity = Pick<SessionContext, "execution" | "attempt" | "env">;

export function ownerOf(identity: Identity): string {
  return `${identity.execution}-${identity.attempt}`;
}

/** The same for each start of an attempt, and different for each attempt: at most 53 characters of a DNS label. */
export function jobName(manifest: Manifest, identity: Identity): string {
  const { name, generateName } = manifest.metadata;
  const wanted = typeof name === "string" ? name : typeof generateName === "string" ? generateName : (identity.env.FLEETCRON_JOB ?? "job");
  const base = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .slice(0, MAX_BASE)
    .replaceAll(/^[^a-z]+|-+$/g, "");
  const hash = createHash("sha256").update(ownerOf(identity)).digest("hex").slice(0, 12);
  return `${base === "" ? "job" : base}-${hash}`;
}

/** What people and other tools find the execution by: exact values. */
export function annotations(identity: Identity): Record<string, string> {
  const { FLEETCRON_GROUP: group, FLEETCRON_JOB: job, FLEETCRON_RUN: run, FLEETCRON_TASK: task, FLEETCRON_NODE: node } = identity.env;
  const values = {
    execution: identity.execution,
    attempt: String(identity.attempt),
    job: group === undefined ? job : `${group}/${job}`,
    run,
    task,
    node,
  };
  const all: Record<string, string> = { [OWNER]: ownerOf(identity) };
  for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== "") all[PREFIX + name] = value;
  return all;
}

/** The same as labels, whose form is narrow: other characters become dashes. */
export function labels(identity: Identity): Record<string, string> {
  const all: Record<string, string> = { "app.kubernetes.io/managed-by": "fleetcron" };
  for (const [name, value] of Object.entries(annotations(identity))) {
    const fit = labelValue(value);
    if (name !== OWNER && fit !== "") all[name] = fit;
  }
  return all;
}

/** A label value: at most 63 letters, digits, `-_.`, with a letter or digit at both ends. */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");
}

export type JobObject = Manifest & { readonly metadata: { readonly name: string } };

export function jobObject(manifest: Manifest, namespace: string, context: SessionContext): JobObject {
  const name = jobName(manifest, context);
  const own = annotations(context);
  const { generateName: _, ...metadata } = manifest.metadata;
  const spec = manifest.spec as Record<string, unknown> & { template: Record<string, unknown> & { spec: Record<string, unknown> } };
  const template = isRecord(spec.template.metadata) ? spec.template.metadata : {};
  const pod = spec.template.spec;
  const limit =
    context.timeoutMs === undefined || context.timeoutMs === 0
      ? {}
      : { activeDeadlineSeconds: Math.ceil(context.timeoutMs / 1000) + DEADLINE_MARGIN_S };
  const variables = injected(name, context);
  const withEnv = (list: unknown) => (Array.isArray(list) ? { list: list.map((container) => inject(container, variables)) } : undefined);
  const initial = withEnv(pod.initContainers);
  return {
    ...manifest,
    metadata: {
      ...metadata,
      name,
      namespace,
      labels: merged(metadata.labels, labels(context)),
      annotations: merged(metadata.annotations, own),
    },
    spec: {
      backoffLimit: 0,
      ttlSecondsAfterFinished: TTL_SECONDS,
      ...limit,
      ...spec,
      template: {
        ...spec.template,
        metadata: { ...template, labels: merged(template.labels, labels(context)), annotations: merged(template.annotations, own) },
        spec: {
          restartPolicy: "Never",
          ...pod,
          ...(initial === undefined ? {} : { initContainers: initial.list }),
          containers: withEnv(pod.containers)?.list,
        },
      },
    },
  };
}

/** What the pods get the job's secrets from: it belongs to the Job, so it never outlives it. Undefined when there are none. */
export function secretObject(job: Job, context: Pick<SessionContext, "secrets">): object | undefined {
  const { name, namespace, uid, labels: own, annotations: notes } = job.metadata ?? {};
  if (Object.keys(context.secrets).length === 0) return undefined;
  const mine = (all: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith(PREFIX)));
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace,
      labels: mine(own),
      annotations: mine(notes),
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid, controller: true, blockOwnerDeletion: false }],
    },
    type: "Opaque",
    immutable: true,
    data: Object.fromEntries(Object.entries(context.secrets).map(([key, value]) => [key, Buffer.from(value).toString("base64")])),
  };
}

function injected(name: string, context: SessionContext): object[] {
  const plain = Object.entries(context.env).filter(([key]) => !NOT_IN_A_POD.has(key) && !Object.hasOwn(context.secrets, key));
  return [
    ...plain.map(([key, value]) => ({ name: key, value: literal(value) })),
    ...Object.keys(context.secrets).map((key) => ({ name: key, valueFrom: { secretKeyRef: { name, key } } })),
  ];
}

/** Ours first: what the manifest sets may refer to them by `$(NAME)`. */
function inject(container: unknown, variables: readonly object[]): unknown {
  if (!isRecord(container)) return container;
  const own = Array.isArray(container.env) ? container.env : [];
  const set = new Set(own.map((one: unknown) => (isRecord(one) ? one.name : undefined)));
  return { ...container, env: [...variables.filter((one) => !set.has((one as { name: string }).name)), ...own] };
}

function merged(theirs: unknown, ours: Readonly<Record<string, string>>): Record<string, unknown> {
  return { ...(isRecord(theirs) ? theirs : {}), ...ours };
}

/** Where the Job's pods are found. */
export function podSelection(namespace: string, job: Job): { path: string; labelSelector: string } {
  const own = job.metadata?.labels ?? {};
  const labelSelector = ["execution", "attempt"].map((label) => `${PREFIX}${label}=${own[PREFIX + label] ?? ""}`).join(",");
  return { path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`, labelSelector };
}
