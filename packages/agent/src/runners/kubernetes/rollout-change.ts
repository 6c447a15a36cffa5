/** The change that begins a rollout: a manifest that is applied, or the image of one container. Both may be made again without harm. */
import { ROLLOUT_KINDS, type RolloutKind } from "fleetcron-shared/model/runners/kubernetes-check";
import type { Manifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import { ApiFailure } from "./api-failure.ts";
import { failed, refusal } from "./failed.ts";
import { filledManifest, filledText } from "./fill.ts";
import { annotations } from "./job-object.ts";
import type { Workload } from "./objects.ts";
import { persist } from "./retry.ts";
import { meantFor, type Run, type RunDeps } from "./run.ts";

export type Change = {
  readonly kind: RolloutKind;
  readonly name: string;
  /** The object as it is, or undefined. */
  read(signal: AbortSignal): Promise<Workload | undefined>;
  /** Throws Ended. */
  make(deps: RunDeps, run: Run): Promise<Workload>;
  /** What is done, for the log. */
  readonly words: string;
};

const SEGMENTS: Readonly<Record<RolloutKind, string>> = { Deployment: "deployments", StatefulSet: "statefulsets", DaemonSet: "daemonsets" };
const MANAGER = "fleetcron";
const MAX_CONFLICTS = 10;

export function workloadsPath(kind: RolloutKind, namespace: string): string {
  return `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/${SEGMENTS[kind]}`;
}

/** Throws `runner/spec`. */
export function changeOf(run: Run): Change {
  const { manifest, setImage } = run.spec;
  if (manifest !== undefined) return apply(run, filledManifest(manifest, meantFor(run), run.context));
  if (setImage === undefined) throw failed("runner/spec", "run.kubernetes has neither manifest nor setImage");
  const text = (field: "name" | "container" | "image") => filledText(setImage[field], `setImage.${field}`, run.context);
  return image(run, setImage.kind, checkedName(text("name")), text("container"), text("image"));
}

/** What stands in a path must be a name. */
function checkedName(name: string): string {
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name) && name.length <= 253) return name;
  throw failed("runner/spec", `"${name.slice(0, 80)}" cannot be the name of an object; a-z, 0-9, dash and dot are allowed`);
}

function apply(run: Run, manifest: Manifest): Change {
  const kind = ROLLOUT_KINDS.find((one) => one === manifest.kind) ?? "Deployment";
  const name = checkedName(String(manifest.metadata.name));
  const path = `${workloadsPath(kind, run.namespace)}/${encodeURIComponent(name)}`;
  const own = manifest.metadata.annotations;
  const notes = { ...(typeof own === "object" && own !== null ? own : {}), ...annotations(run.context) };
  const body = { ...manifest, metadata: { ...manifest.metadata, namespace: run.namespace, annotations: notes } };
  return {
    kind,
    name,
    words: `applying the ${kind} ${run.namespace}/${name}`,
    read: (signal) => read(run, path, signal),
    make: (deps) =>
      refused(
        persist(
          deps,
          () =>
            run.connection.api.call<Workload>(
              {
                method: "PATCH",
                path,
                query: { fieldManager: MANAGER, force: true, fieldValidation: "Strict" },
                contentType: run.connection.applyPatch,
                body,
              },
              run.term,
            ),
          run.term,
        ),
        `apply the ${kind} ${run.namespace}/${name}`,
      ),
  };
}

function image(run: Run, kind: RolloutKind, name: string, container: string, wanted: string): Change {
  const path = `${workloadsPath(kind, run.namespace)}/${encodeURIComponent(name)}`;
  const doing = `set the image of the ${kind} ${run.namespace}/${name}`;

  async function patch(): Promise<Workload> {
    for (let attempt = 1; ; attempt++) {
      const object = await run.connection.api.call<Workload>({ method: "GET", path }, run.term);
      const { containers = [], initContainers = [] } = object.spec?.template?.spec ?? {};
      const list = containers.some((one) => one.name === container)
        ? "containers"
        : initContainers.some((one) => one.name === container)
          ? "initContainers"
          : undefined;
      if (list === undefined) {
        const names = [...containers, ...initContainers].map((one) => one.name).join(", ");
        throw failed("kubernetes/invalid", `cannot ${doing}: it has no container "${container}"; its containers: ${names}`);
      }
      const body = {
        // Only what was looked at is changed: if somebody has changed it meanwhile, it is looked at again.
        metadata: { resourceVersion: object.metadata?.resourceVersion, annotations: annotations(run.context) },
        spec: { template: { spec: { [list]: [{ name: container, image: wanted }] } } },
      };
      try {
        const call = {
          method: "PATCH",
          path,
          query: { fieldManager: MANAGER, fieldValidation: "Strict" },
          contentType: run.connection.mergePatch,
          body,
        } as const;
        return await run.connection.api.call<Workload>(call, run.term);
      } catch (thrown) {
        if (!(thrown instanceof ApiFailure) || thrown.status !== 409 || attempt >= MAX_CONFLICTS) throw thrown;
      }
    }
  }

  return {
    kind,
    name,
    words: `setting the image of the container ${container} of the ${kind} ${run.namespace}/${name} to ${wanted}`,
    read: (signal) => read(run, path, signal),
    make: (deps) => refused(persist(deps, patch, run.term), doing),
  };
}

async function read(run: Run, path: string, signal: AbortSignal): Promise<Workload | undefined> {
  try {
    return await run.connection.api.call<Workload>({ method: "GET", path }, signal);
  } catch (thrown) {
    if (thrown instanceof ApiFailure && thrown.status === 404 && thrown.reason === "NotFound") return undefined;
    throw thrown;
  }
}

function refused<T>(request: Promise<T>, doing: string): Promise<T> {
  return request.catch((thrown) => {
    throw thrown instanceof ApiFailure ? refusal(thrown, doing) : thrown;
  });
}
