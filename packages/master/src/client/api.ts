/** The REST API as typed functions, one per resource and verb; routes and shapes are those of http/api-schema.ts. */
import type { SecretRef } from "fleetcron-shared/model/secret";
import type * as Access from "../http/access-schema.ts";
import type * as Api from "../http/api-schema.ts";
import type * as ChannelApi from "../http/api-schema-channels.ts";
import type * as Global from "../http/global-schema.ts";
import type { LogFollowQuery, LogQuery, LogSearchQuery } from "../http/log-schema.ts";
import type * as Nodes from "../http/node-schema.ts";
import type * as Pipelines from "../http/pipeline-schema.ts";
import type * as Secret from "../http/secret-schema.ts";
import type * as Timeline from "../http/timeline-schema.ts";
import type { VerifyQuery, VerifyResult } from "../http/verify-schema.ts";
import type { JobRef } from "../job-ref.ts";
import { searchLog } from "./log-bytes.ts";
import { fetchLog, followLog, type LogEvents } from "./logs.ts";
import type { Query, Rest } from "./rest.ts";

export type ApiClient = ReturnType<typeof createApiClient>;

const BASE: typeof Api.API_BASE = "/api/v1";
/** The largest page that the API gives. */
const PAGE = 1000;

export function createApiClient(rest: Rest) {
  const get = <T>(path: string, query?: object) => rest.send<T>("GET", BASE + path, query === undefined ? {} : { query: query as Query });
  /** `once`: an Idempotency-Key, under which a lost answer is asked for again. */
  const post = <T>(path: string, body: unknown = {}, once?: string) => rest.send<T>("POST", BASE + path, { body, once });
  const job = (key: JobRef) => `/jobs/${part(key.group)}/${part(key.id)}`;
  const pipeline = (key: JobRef) => `/pipelines/${part(key.group)}/${part(key.id)}`;
  return {
    server: rest.server,
    info: () => get<Api.Info>("/info"),
    ready: () => rest.send<Api.Health>("GET", "/readyz", { timeoutMs: 5000 }),
    apply: (body: Api.ApplyBody) => rest.send<Api.ApplyResult>("POST", `${BASE}/apply`, { body, timeoutMs: 120_000 }),

    jobs: (query: Api.JobListQuery) => get<Api.JobPage>("/jobs", query),
    job: (key: JobRef) => get<Api.JobView>(job(key)),
    deleteJob: (key: JobRef, force = false) => rest.send<Api.Deleted>("DELETE", BASE + job(key), force ? { query: { force } } : {}),
    runJob: (key: JobRef, body: Api.RunBody, once?: string) => post<Api.RunResult>(`${job(key)}/run`, body, once),
    pauseJob: (key: JobRef) => post<Api.JobView>(`${job(key)}/pause`),
    resumeJob: (key: JobRef) => post<Api.JobView>(`${job(key)}/resume`),
    resetJob: (key: JobRef, body: Api.ResetBody) => post<Api.ResetResult>(`${job(key)}/reset`, body),
    nextTicks: (key: JobRef, query: Api.NextQuery) => get<Api.NextResult>(`${job(key)}/next`, query),
    why: (key: JobRef, query: Api.WhyQuery) => get<Api.WhyResult>(`${job(key)}/why`, query),

    /** What became of each due tick, newest first. */
    verdicts: (key: JobRef, query: Timeline.VerdictsQuery) => get<Timeline.VerdictsResult>(`${job(key)}/verdicts`, query),
    forecast: (query: Timeline.ForecastQuery) => get<Timeline.ForecastResult>("/forecast", query),
    /** Looks at many records: it may take a while. */
    verify: (query: VerifyQuery) => rest.send<VerifyResult>("GET", `${BASE}/verify`, { query: query as Query, timeoutMs: 120_000 }),

    pipelines: (query: Pipelines.PipelineListQuery) => get<Pipelines.PipelinePage>("/pipelines", query),
    pipeline: (key: JobRef) => get<Pipelines.PipelineView>(pipeline(key)),
    deletePipeline: (key: JobRef) => rest.send<Api.Deleted>("DELETE", BASE + pipeline(key)),
    runPipeline: (key: JobRef, body: Pipelines.PipelineRunBody, once?: string) =>
      post<Pipelines.PipelineRunView>(`${pipeline(key)}/run`, body, once),
    dryRunPipeline: (key: JobRef, body: Pipelines.PipelineRunBody) =>
      post<Pipelines.PipelineDryRun>(`${pipeline(key)}/run`, { ...body, dryRun: true }),
    pipelineRuns: (query: Pipelines.PipelineRunListQuery) => get<Pipelines.PipelineRunPage>("/runs", query),
    /** `of` (`group/id`) saves the search for the run. */
    pipelineRun: (id: string, of?: string) => get<Pipelines.PipelineRunView>(`/runs/${part(id)}`, { pipeline: of }),
    cancelRun: (id: string, body: Pipelines.CancelBody) => post<Pipelines.PipelineRunView>(`/runs/${part(id)}/cancel`, body),
    rerunRun: (id: string, body: Pipelines.RerunBody, once?: string) =>
      post<Pipelines.PipelineRunView>(`/runs/${part(id)}/rerun`, body, once),
    decide: (id: string, task: string, word: "approve" | "deny" | "confirm" | "reject", body: Pipelines.DecisionBody) =>
      post<Pipelines.PipelineRunView>(`/runs/${part(id)}/tasks/${part(task)}/${word}`, body),

    nodes: (query: Nodes.NodeListQuery) => get<Nodes.NodePage>("/nodes", query),
    node: (id: string) => get<Nodes.NodeDetail>(`/nodes/${part(id)}`),
    labelNode: (id: string, body: Nodes.LabelsBody) => rest.send<Nodes.NodeDetail>("PATCH", `${BASE}/nodes/${part(id)}/labels`, { body }),
    drainNode: (id: string) => post<Nodes.NodeDetail>(`/nodes/${part(id)}/drain`),
    undrainNode: (id: string) => post<Nodes.NodeDetail>(`/nodes/${part(id)}/undrain`),
    forgetNode: (id: string) => rest.send<Api.Deleted>("DELETE", `${BASE}/nodes/${part(id)}`),

    secrets: (query: Secret.SecretListQuery) => get<Secret.SecretPage>("/secrets", query),
    putSecret: (key: SecretRef, body: Secret.SecretBody) =>
      rest.send<Secret.SecretView>("PUT", `${BASE}/secrets/${part(key.group)}/${part(key.name)}`, { body, timeoutMs: 120_000 }),
    deleteSecret: (key: SecretRef) => rest.send<Api.Deleted>("DELETE", `${BASE}/secrets/${part(key.group)}/${part(key.name)}`),

    tokens: (query: Access.PlainListQuery) => get<Access.TokenPage>("/tokens", query),
    createToken: (body: Access.TokenBody) => post<Access.TokenMade>("/tokens", body),
    revokeToken: (name: string) => rest.send<Access.TokenView>("DELETE", `${BASE}/tokens/${part(name)}`),
    audit: (query: Access.AuditListQuery) => get<Access.AuditPage>("/audit", query),
    whoAmI: () => get<Access.SessionView>("/session"),
    loginLink: () => post<Access.LinkMade>("/session/links"),

    globals: (query: Global.GlobalListQuery) => get<Global.GlobalPage>("/globals", query),
    setGlobal: (name: string, body: Global.GlobalBody) => rest.send<Global.GlobalView>("PUT", `${BASE}/globals/${part(name)}`, { body }),
    removeGlobal: (name: string) => rest.send<Api.Deleted>("DELETE", `${BASE}/globals/${part(name)}`),

    channels: (query: ChannelApi.ChannelListQuery) => get<ChannelApi.ChannelPage>("/channels", query),
    channel: (name: string) => get<ChannelApi.ChannelView>(`/channels/${part(name)}`),
    deleteChannel: (name: string) => rest.send<Api.Deleted>("DELETE", `${BASE}/channels/${part(name)}`),
    testChannel: (name: string) => rest.send<ChannelApi.ChannelTest>("POST", `${BASE}/channels/${part(name)}/test`, { timeoutMs: 120_000 }),
    deliveries: (query: ChannelApi.DeliveryListQuery) => get<ChannelApi.DeliveryPage>("/deliveries", query),
    retryDelivery: (id: string) => post<ChannelApi.DeliveryView>(`/deliveries/${part(id)}/retry`),

    records: (query: Api.RecordListQuery) => get<Api.RecordPage>("/records", query),
    record: (id: string) => get<Api.RecordView>(`/records/${part(id)}`),
    procs: (query: Api.ProcListQuery) => get<Api.ProcPage>("/procs", query),
    executions: (query: Api.ExecutionListQuery) => get<Api.ExecutionPage>("/executions", query),
    execution: (id: string, job?: string) => get<Api.ExecutionDetail>(`/executions/${part(id)}`, { job }),
    log: (id: string, query: LogQuery) => fetchLog(rest, id, query),
    searchLog: (id: string, query: LogSearchQuery) => searchLog(rest, id, query),
    /** `lastId`: of the last event that was seen, to go on behind it. */
    followLog: (id: string, query: LogFollowQuery, lastId: string | undefined, signal: AbortSignal): LogEvents =>
      followLog(rest, id, query, lastId, signal),
    killExecution: (id: string, body: Api.KillBody) => post<Api.KillResult>(`/executions/${part(id)}/kill`, body),
  };
}

function part(text: string): string {
  return encodeURIComponent(text);
}

type Page<T> = { readonly items: readonly T[]; readonly next?: string | undefined };

/** Up to `limit` items that `keep` lets through, page by page; `more` says that there may be further ones. */
export async function collectPages<T>(
  fetchPage: (limit: number, cursor: string | undefined) => Promise<Page<T>>,
  limit: number,
  keep?: (item: T) => boolean,
): Promise<{ items: readonly T[]; more: boolean }> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const page = await fetchPage(keep === undefined ? Math.min(PAGE, limit - items.length) : PAGE, next);
    items.push(...(keep === undefined ? page.items : page.items.filter(keep)));
    next = page.next;
  } while (next !== undefined && items.length < limit);
  return { items: items.slice(0, limit), more: next !== undefined || items.length > limit };
}
