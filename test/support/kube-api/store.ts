/** The objects of a Kubernetes API: revisions, history, watchers, finalizers and garbage collection, as etcd and the API server keep them. */
import { randomUUID } from "node:crypto";
import { systemClock } from "fleetcron-shared/base/clock";

export type Meta = {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean; blockOwnerDeletion?: boolean }[];
};
/** Objects come from manifests of all kinds, and tests look into them freely. */
// biome-ignore lint/suspicious/noExplicitAny: their shape is the client's business
export type Loose = any;
export type Stored = {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec?: Loose;
  status?: Loose;
  data?: Record<string, string>;
  [field: string]: Loose;
};
export type StoreEvent = {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly plural: string;
  readonly revision: number;
  readonly object: Stored;
};

export class Refused extends Error {
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly object[];
  constructor(status: number, reason: string, message: string, causes: readonly object[] = []) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.causes = causes;
  }
}

export type Store = ReturnType<typeof createStore>;

/** RFC 3339 to the second, as the API writes it. */
export function second(ms = systemClock.now()): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function createStore() {
  const objects = new Map<string, { plural: string; object: Stored }>();
  const listeners = new Set<(event: StoreEvent) => void>();
  let history: StoreEvent[] = [];
  let revision = 1000;
  let oldest = 1000;
  const keyOf = (plural: string, namespace: string, name: string) => `${plural}/${namespace}/${name}`;

  function emit(type: StoreEvent["type"], plural: string, object: Stored): Stored {
    revision++;
    object.metadata.resourceVersion = String(revision);
    const event = { type, plural, revision, object: structuredClone(object) };
    history.push(event);
    for (const listener of [...listeners]) listener(event);
    return structuredClone(object);
  }

  function get(plural: string, namespace: string, name: string): Stored | undefined {
    const found = objects.get(keyOf(plural, namespace, name));
    return found === undefined ? undefined : structuredClone(found.object);
  }

  function need(plural: string, namespace: string, name: string): Stored {
    const found = get(plural, namespace, name);
    if (found === undefined) throw new Refused(404, "NotFound", `${plural} "${name}" not found`);
    return found;
  }

  function create(plural: string, wanted: Stored): Stored {
    const { name, namespace } = wanted.metadata;
    if (objects.has(keyOf(plural, namespace, name))) throw new Refused(409, "AlreadyExists", `${plural} "${name}" already exists`);
    const object = structuredClone(wanted);
    object.metadata.uid = randomUUID();
    object.metadata.creationTimestamp = second();
    object.metadata.generation = 1;
    objects.set(keyOf(plural, namespace, name), { plural, object });
    return emit("ADDED", plural, object);
  }

  /** Puts what `change` has made of the object; removed when it is being deleted and nothing holds it any more. */
  function update(plural: string, namespace: string, name: string, change: (object: Stored) => void): Stored | undefined {
    const entry = objects.get(keyOf(plural, namespace, name));
    if (entry === undefined) return undefined;
    const before = JSON.stringify(entry.object.spec);
    change(entry.object);
    const { metadata } = entry.object;
    if (JSON.stringify(entry.object.spec) !== before) metadata.generation = (metadata.generation ?? 0) + 1;
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0 && plural !== "pods")
      return remove(plural, namespace, name);
    return emit("MODIFIED", plural, entry.object);
  }

  /** At once, whatever holds it; dependents follow in the background. */
  function remove(plural: string, namespace: string, name: string): Stored | undefined {
    const entry = objects.get(keyOf(plural, namespace, name));
    if (entry === undefined) return undefined;
    objects.delete(keyOf(plural, namespace, name));
    const last = emit("DELETED", plural, entry.object);
    for (const dependent of dependents(last.metadata.uid))
      destroy(dependent.plural, dependent.object.metadata.namespace, dependent.object.metadata.name, {});
    for (const owner of last.metadata.ownerReferences ?? []) releaseOwner(owner.uid);
    return last;
  }

  function dependents(uid: string): { plural: string; object: Stored }[] {
    return [...objects.values()].filter(({ object }) => object.metadata.ownerReferences?.some((owner) => owner.uid === uid));
  }

  /** An owner that was deleted in the foreground goes with the last dependent that blocks it. */
  function releaseOwner(uid: string): void {
    const owner = [...objects.values()].find(({ object }) => object.metadata.uid === uid);
    if (owner?.object.metadata.finalizers?.includes("foregroundDeletion") !== true) return;
    const blocking = dependents(uid).some(({ object }) =>
      object.metadata.ownerReferences?.some((one) => one.uid === uid && one.blockOwnerDeletion),
    );
    if (blocking) return;
    const { namespace, name } = owner.object.metadata;
    update(owner.plural, namespace, name, (object) => {
      object.metadata.finalizers = (object.metadata.finalizers ?? []).filter((one) => one !== "foregroundDeletion");
    });
  }

  /** What a DELETE request does. */
  function destroy(
    plural: string,
    namespace: string,
    name: string,
    options: { propagationPolicy?: string; gracePeriodSeconds?: number; preconditions?: { uid?: string } },
  ): Stored {
    const found = need(plural, namespace, name);
    const wanted = options.preconditions?.uid;
    if (wanted !== undefined && wanted !== found.metadata.uid)
      throw new Refused(409, "Conflict", `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${found.metadata.uid}`);
    if (plural === "pods") return destroyPod(found, options.gracePeriodSeconds);
    if (options.propagationPolicy !== "Foreground") return remove(plural, namespace, name) ?? found;
    const held = update(plural, namespace, name, ({ metadata }) => {
      metadata.deletionTimestamp ??= second();
      metadata.deletionGracePeriodSeconds = 0;
      metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), "foregroundDeletion"])];
    });
    for (const dependent of dependents(found.metadata.uid)) destroy(dependent.plural, namespace, dependent.object.metadata.name, {});
    releaseOwner(found.metadata.uid);
    return held ?? found;
  }

  /** A pod that runs somewhere is given its time: the kubelet removes it. */
  function destroyPod(pod: Stored, seconds: number | undefined): Stored {
    const { namespace, name } = pod.metadata;
    const grace = seconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    const over = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (grace === 0 || over || pod.spec.nodeName === undefined) return remove("pods", namespace, name) ?? pod;
    const set = (object: Stored) => {
      object.metadata.deletionTimestamp ??= second(systemClock.now() + grace * 1000);
      object.metadata.deletionGracePeriodSeconds = grace;
    };
    return update("pods", namespace, name, set) ?? pod;
  }

  return {
    get,
    need,
    create,
    update,
    remove,
    destroy,
    listen(listener: (event: StoreEvent) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    list: (plural: string, namespace: string) =>
      [...objects.values()]
        .filter((one) => one.plural === plural && one.object.metadata.namespace === namespace)
        .map(({ object }) => structuredClone(object)),
    /** What has happened after a revision; undefined when that is forgotten. */
    since: (from: number) => (from < oldest ? undefined : history.filter((event) => event.revision > from)),
    /** Forgets all history, as etcd does every five minutes. */
    compact() {
      revision++;
      oldest = revision;
      history = [];
    },
    get revision() {
      return revision;
    },
  };
}
