/**
 * A Kubernetes API on the loopback, on the wire as the real one: bearer tokens, Status objects, chunked watches with bookmarks and 410, logs that are followed.
 * Faults are asked for by `onRequest`, `cutWatches`, `cutLogs` and the store's `compact`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Cluster, runControllers } from "./controllers.ts";
import { type Logs, logKey } from "./kubelet.ts";
import { patched } from "./patch.ts";
import { createStore, Refused, type Store, type Stored } from "./store.ts";
import { validate } from "./validate.ts";

export type KubeRequest = {
  readonly verb: string;
  readonly plural: string;
  readonly name: string;
  readonly namespace: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly contentType: string;
};
/** `cut`: the connection is cut before anything happens · `cutAnswer`: it happens, and the answer is lost · `hang`: no answer. */
export type Fault =
  | "cut"
  | "cutAnswer"
  | "hang"
  | { readonly status: number; readonly message?: string; readonly reason?: string; readonly headers?: Record<string, string> };

export type KubeApi = Cluster & {
  readonly port: number;
  readonly store: Store;
  readonly logs: Logs;
  readonly requests: readonly KubeRequest[];
  onRequest: ((request: KubeRequest) => Fault | undefined) | undefined;
  /** Watches whose revision is forgotten are told so by an event (true) or by the HTTP status. */
  expireByEvent: boolean;
  cutWatches(): void;
  /** Ends them as a server does that has had enough. */
  endWatches(): void;
  cutLogs(): void;
  bookmark(): void;
  readonly watches: number;
  [Symbol.asyncDispose](): Promise<void>;
};

const KINDS: Readonly<Record<string, string>> = {
  jobs: "Job",
  pods: "Pod",
  secrets: "Secret",
  events: "Event",
  deployments: "Deployment",
  statefulsets: "StatefulSet",
  daemonsets: "DaemonSet",
};
const GROUPS: Readonly<Record<string, string>> = { jobs: "batch", deployments: "apps", statefulsets: "apps", daemonsets: "apps" };
const ROUTE = /^\/(?:api\/v1|apis\/(batch|apps)\/v1)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+))?(?:\/(log|status))?$/;
export const TOKEN = "test-token";

export type Listen = (handler: (request: IncomingMessage, response: ServerResponse) => void) => Server;

export async function startKubeApi(listen: Listen = createServer): Promise<KubeApi> {
  const store = createStore();
  const logs: Logs = new Map();
  const requests: KubeRequest[] = [];
  const watches = new Set<{ response: ServerResponse; plural: string; bookmarks: boolean }>();
  const logStreams = new Set<ServerResponse>();
  const server = listen((request, response) => void handle(request, response).catch((thrown) => refuse(response, thrown)));

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://kube");
    const text = await bodyOf(request);
    const [, , namespace = "", plural = "", name = "", part] = ROUTE.exec(decodeURI(url.pathname)) ?? [];
    if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Refused(401, "Unauthorized", "Unauthorized");
    if (KINDS[plural] === undefined) throw new Refused(404, "NotFound", "the server could not find the requested resource");
    const verb = verbOf(request.method ?? "", name, url.searchParams);
    const one: KubeRequest = {
      verb: part === "log" ? "log" : verb,
      plural,
      name,
      namespace,
      query: url.searchParams,
      body: text === "" ? undefined : JSON.parse(text),
      contentType: request.headers["content-type"] ?? "",
    };
    requests.push(one);
    const fault = api.onRequest?.(one);
    if (fault === "cut") return void request.socket.destroy();
    if (fault === "hang") return;
    if (typeof fault === "object") {
      const { status, reason = "", message, headers = {} } = fault;
      for (const [header, value] of Object.entries(headers)) response.setHeader(header, value);
      if (status === 403)
        throw new Refused(
          403,
          "Forbidden",
          `${plural}.${GROUPS[plural] ?? ""} is forbidden: User "tester" cannot ${verb} resource "${plural}" in API group "${GROUPS[plural] ?? ""}" in the namespace "${namespace}"`,
        );
      throw new Refused(status, reason, message ?? "fault");
    }
    if (one.verb === "log") return await serveLog(one, response);
    if (one.verb === "watch") return serveWatch(one, response);
    const [status, answer] = perform(one);
    if (fault === "cutAnswer") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  function perform({ verb, plural, namespace, name, query, body, contentType }: KubeRequest): [number, object] {
    if (namespace === "missing" && verb === "create") throw new Refused(404, "NotFound", `namespaces "${namespace}" not found`);
    const object = body as Stored;
    switch (verb) {
      case "get":
        return [200, store.need(plural, namespace, name)];
      case "list": {
        const items = store.list(plural, namespace).filter((item) => matches(item, query));
        return [200, { kind: `${KINDS[plural]}List`, apiVersion: "v1", metadata: { resourceVersion: String(store.revision) }, items }];
      }
      case "create":
        validate(object, query.get("fieldValidation") === "Strict");
        return [201, store.create(plural, { ...object, metadata: { ...object.metadata, namespace } })];
      case "delete":
        return [
          200,
          store.destroy(plural, namespace, name, {
            ...(object ?? {}),
            ...(query.has("gracePeriodSeconds") ? { gracePeriodSeconds: Number(query.get("gracePeriodSeconds")) } : {}),
          } as object),
        ];
      default:
        return patch(plural, namespace, name, object, contentType, query);
    }
  }

  function patch(
    plural: string,
    namespace: string,
    name: string,
    body: Stored,
    contentType: string,
    query: URLSearchParams,
  ): [number, object] {
    const before = store.get(plural, namespace, name);
    const expected = body.metadata?.resourceVersion;
    if (before === undefined && contentType !== "application/apply-patch+yaml")
      throw new Refused(404, "NotFound", `${plural}.apps "${name}" not found`);
    if (before !== undefined && expected !== undefined && expected !== before.metadata.resourceVersion)
      throw new Refused(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${plural}.apps "${name}": the object has been modified; please apply your changes to the latest version and try again`,
      );
    const base = before ?? ({ apiVersion: body.apiVersion, kind: body.kind, metadata: { name, namespace } } as Stored);
    const next = patched(base, body, contentType, query);
    validate(next, query.get("fieldValidation") === "Strict");
    if (before === undefined) return [201, store.create(plural, next)];
    const changed = store.update(plural, namespace, name, (object) => {
      object.spec = next.spec;
      object.metadata.labels = next.metadata.labels ?? {};
      object.metadata.annotations = next.metadata.annotations ?? {};
    });
    return [200, changed ?? next];
  }

  function serveWatch({ plural, namespace, query }: KubeRequest, response: ServerResponse): void {
    const missed = store.since(Number(query.get("resourceVersion") ?? 0));
    const expired = `too old resource version: ${query.get("resourceVersion")} (${store.revision})`;
    if (missed === undefined && !api.expireByEvent) throw new Refused(410, "Expired", expired);
    response.writeHead(200, {
      "content-type": "application/json",
      ...(response.req.httpVersionMajor > 1 ? {} : { "transfer-encoding": "chunked" }),
    });
    response.flushHeaders();
    if (missed === undefined) return void response.end(`${JSON.stringify({ type: "ERROR", object: statusOf(410, "Expired", expired) })}\n`);
    const watch = { response, plural, bookmarks: query.get("allowWatchBookmarks") === "true" };
    const send = (event: { type: string; plural: string; object: Stored }) => {
      if (
        !response.writableEnded &&
        event.plural === plural &&
        event.object.metadata.namespace === namespace &&
        matches(event.object, query)
      )
        response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
    };
    for (const event of missed) send(event);
    const stop = store.listen(send);
    watches.add(watch);
    response.once("close", () => {
      stop();
      watches.delete(watch);
    });
  }

  async function serveLog({ namespace, name, query }: KubeRequest, response: ServerResponse): Promise<void> {
    const container = query.get("container") ?? "";
    const pod = store.need("pods", namespace, name);
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    const count = (statuses.find((one) => one.name === container)?.restartCount ?? 0) as number;
    const log = logs.get(logKey(name, container, query.get("previous") === "true" ? count - 1 : count));
    if (log === undefined)
      throw new Refused(400, "BadRequest", `container "${container}" in pod "${name}" is waiting to start: ContainerCreating`);
    const since = query.get("sinceTime");
    const closed = new AbortController();
    response.once("close", () => closed.abort());
    logStreams.add(response);
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    const options = {
      follow: query.get("follow") === "true",
      timestamps: query.get("timestamps") === "true",
      sinceSecond: since === null ? undefined : Math.floor(Date.parse(since) / 1000),
    };
    for await (const text of log.read(options, closed.signal)) {
      if (!response.write(text))
        await new Promise<void>((resolve) =>
          closed.signal.aborted ? resolve() : response.once("drain", resolve).once("close", () => resolve()),
        );
    }
    logStreams.delete(response);
    response.end();
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own = {
    port: (server.address() as AddressInfo).port,
    store,
    logs,
    requests,
    onRequest: undefined as KubeApi["onRequest"],
    expireByEvent: false,
    cutWatches() {
      for (const { response } of watches) response.socket?.destroy();
    },
    endWatches() {
      for (const { response } of watches) response.end();
    },
    cutLogs() {
      for (const response of logStreams) response.socket?.destroy();
      logStreams.clear();
    },
    bookmark() {
      for (const { response, plural, bookmarks } of watches) {
        const object = { kind: KINDS[plural], apiVersion: "v1", metadata: { resourceVersion: String(store.revision) } };
        if (bookmarks && !response.writableEnded) response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
      }
    },
    get watches() {
      return watches.size;
    },
    async [Symbol.asyncDispose]() {
      api.stopTimers();
      server.closeAllConnections?.();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  // The controllers look at the same object that tests change; getters stay getters.
  const api: KubeApi = Object.defineProperties(runControllers(store, logs) as KubeApi, Object.getOwnPropertyDescriptors(own));
  return api;
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  if (method === "GET") return query.get("watch") === "true" ? "watch" : name === "" ? "list" : "get";
  return { POST: "create", DELETE: "delete", PATCH: "patch" }[method] ?? method;
}

function matches(object: Stored, query: URLSearchParams): boolean {
  const terms = (name: string) => (query.get(name) ?? "").split(",").filter((term) => term !== "");
  const fields: Record<string, unknown> = {
    "metadata.name": object.metadata.name,
    type: object.type,
    "involvedObject.uid": object.involvedObject?.uid,
  };
  const holds = (term: string, values: Record<string, unknown>) => {
    const [key = "", value = ""] = term.split("=", 2);
    return (values[key] ?? "") === value;
  };
  return (
    terms("labelSelector").every((term) => holds(term, object.metadata.labels ?? {})) &&
    terms("fieldSelector").every((term) => holds(term, fields))
  );
}

function statusOf(code: number, reason: string, message: string, causes: readonly object[] = []): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    code,
    ...(causes.length === 0 ? {} : { details: { causes } }),
  };
}

function refuse(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) return void response.destroy();
  const { status, reason, message, causes } =
    thrown instanceof Refused ? thrown : new Refused(500, "InternalError", String((thrown as Error).stack));
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(statusOf(status, reason, message, causes)));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
