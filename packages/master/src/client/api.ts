/** The REST API as typed functions, one per resource and verb; routes and shapes are those of http/api-schema.ts. */
import type * as Api from "../http/api-schema.ts";
import type { JobRef } from "../job-ref.ts";
import type { Query, Rest } from "./rest.ts";

export type ApiClient = ReturnType<typeof createApiClient>;

const BASE: typeof Api.API_BASE = "/api/v1";
/** The largest page that the API gives. */
const PAGE = 1000;

export function createApiClient(rest: Rest) {
  const get = <T>(path: string, query?: object) => rest.send<T>("GET", BASE + path, query === undefined ? {} : { query: query as Query });
  const post = <T>(path: string, body: unknown = {}) => rest.send<T>("POST", BASE + path, { body });
  const job = (key: JobRef) => `/jobs/${part(key.group)}/${part(key.id)}`;
  return {
    server: rest.server,
    info: () => get<Api.Info>("/info"),
    ready: () => rest.send<Api.Health>("GET", "/readyz", { timeoutMs: 5000 }),
    apply: (body: Api.ApplyBody) => rest.send<Api.ApplyResult>("POST", `${BASE}/apply`, { body, timeoutMs: 120_000 }),

    jobs: (query: Api.JobListQuery) => get<Api.JobPage>("/jobs", query),
    job: (key: JobRef) => get<Api.JobView>(job(key)),
    deleteJob: (key: JobRef) => rest.send<Api.Deleted>("DELETE", BASE + job(key)),
    runJob: (key: JobRef, body: Api.RunBody) => post<Api.RunResult>(`${job(key)}/run`, body),
    pauseJob: (key: JobRef) => post<Api.JobView>(`${job(key)}/pause`),
    resumeJob: (key: JobRef) => post<Api.JobView>(`${job(key)}/resume`),
    resetJob: (key: JobRef, body: Api.ResetBody) => post<Api.ResetResult>(`${job(key)}/reset`, body),
    nextTicks: (key: JobRef, query: Api.NextQuery) => get<Api.NextResult>(`${job(key)}/next`, query),
    why: (key: JobRef, query: Api.WhyQuery) => get<Api.WhyResult>(`${job(key)}/why`, query),

    nodes: (query: Api.NodeListQuery) => get<Api.NodePage>("/nodes", query),
    node: (id: string) => get<Api.NodeView>(`/nodes/${part(id)}`),
    labelNode: (id: string, body: Api.LabelsBody) => rest.send<Api.NodeView>("PATCH", `${BASE}/nodes/${part(id)}/labels`, { body }),
    drainNode: (id: string) => post<Api.NodeView>(`/nodes/${part(id)}/drain`),
    undrainNode: (id: string) => post<Api.NodeView>(`/nodes/${part(id)}/undrain`),
    forgetNode: (id: string) => rest.send<Api.Deleted>("DELETE", `${BASE}/nodes/${part(id)}`),

    records: (query: Api.RecordListQuery) => get<Api.RecordPage>("/records", query),
    record: (id: string) => get<Api.RecordView>(`/records/${part(id)}`),
    procs: (query: Api.ProcListQuery) => get<Api.ProcPage>("/procs", query),
    executions: (query: Api.ExecutionListQuery) => get<Api.ExecutionPage>("/executions", query),
    execution: (id: string, job?: string) => get<Api.ExecutionDetail>(`/executions/${part(id)}`, { job }),
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
