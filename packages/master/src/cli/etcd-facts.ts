/**
 * What an etcd member says about itself over HTTP: health, version, status, alarms, metrics. Each page may be closed (TLS, access control,
 * a metrics port of its own): then its facts are undefined, and `reason` says why nothing at all was read.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";

export type EtcdFacts = {
  readonly endpoint: string;
  /** Why the member could not be asked; the facts are then missing. */
  readonly reason?: string;
  readonly version?: string;
  readonly healthy?: boolean;
  readonly dbBytes?: number;
  readonly quotaBytes?: number;
  readonly revision?: number;
  /** Up to which revision the history is dropped; -1 = never since this member started. */
  readonly compactedRevision?: number;
  /** Mean since the member started. */
  readonly fsyncMs?: number;
  readonly commitMs?: number;
  /** Such as NOSPACE. */
  readonly alarms?: readonly string[];
};

const TIMEOUT_MS = 3000;

type Deps = { clock: Pick<Clock, "after">; fetch: (url: string, init: RequestInit) => Promise<Response> };

export async function readEtcdFacts(deps: Deps, endpoint: string): Promise<EtcdFacts> {
  const base = (endpoint.includes("://") ? endpoint : `http://${endpoint}`).replace(/\/+$/, "");
  let version: string | undefined;
  try {
    version = (JSON.parse(await read(deps, `${base}/version`)) as { etcdserver?: string }).etcdserver;
  } catch (thrown) {
    return { endpoint, reason: rootCause(thrown) };
  }
  const [health, status, alarm, metrics] = await Promise.all([
    readJson<{ health?: string | boolean }>(deps, `${base}/health`),
    readJson<{ dbSize?: string; header?: { revision?: string } }>(deps, `${base}/v3/maintenance/status`, "{}"),
    readJson<{ alarms?: { alarm?: string }[] }>(deps, `${base}/v3/maintenance/alarm`, '{"action":"GET"}'),
    read(deps, `${base}/metrics`).then(parseMetrics, () => new Map<string, number>()),
  ]);
  return dropUndefined({
    endpoint,
    version,
    healthy: health === undefined ? undefined : String(health.health) === "true",
    dbBytes: status?.dbSize === undefined ? metrics.get("etcd_mvcc_db_total_size_in_bytes") : Number(status.dbSize),
    quotaBytes: metrics.get("etcd_server_quota_backend_bytes"),
    revision: status?.header?.revision === undefined ? undefined : Number(status.header.revision),
    compactedRevision: metrics.get("etcd_debugging_mvcc_compact_revision"),
    fsyncMs: mean(metrics, "etcd_disk_wal_fsync_duration_seconds"),
    commitMs: mean(metrics, "etcd_disk_backend_commit_duration_seconds"),
    alarms: alarm === undefined ? undefined : (alarm.alarms ?? []).map((one) => one.alarm ?? "unknown"),
  });
}

/** The samples without labels of a Prometheus page. */
function parseMetrics(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^([a-z_]+) (\S+)$/gm)].map(([, name, value]) => [name ?? "", Number(value)]));
}

function mean(metrics: ReadonlyMap<string, number>, name: string): number | undefined {
  const count = metrics.get(`${name}_count`) ?? 0;
  const sum = metrics.get(`${name}_sum`);
  return sum === undefined || count === 0 ? undefined : (sum / count) * 1000;
}

async function read(deps: Deps, url: string, body?: string): Promise<string> {
  const abort = new AbortController();
  const cancel = deps.clock.after(TIMEOUT_MS, () => abort.abort(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
  try {
    const response = await deps.fetch(url, { ...(body === undefined ? {} : { method: "POST", body }), signal: abort.signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return text;
  } finally {
    cancel();
  }
}

async function readJson<T>(deps: Deps, url: string, body?: string): Promise<T | undefined> {
  try {
    return JSON.parse(await read(deps, url, body)) as T;
  } catch {
    return undefined;
  }
}

function rootCause(thrown: unknown): string {
  let error = asError(thrown);
  while (error.cause !== undefined) error = asError(error.cause);
  return error.message;
}

function dropUndefined(facts: { readonly [K in keyof EtcdFacts]: EtcdFacts[K] | undefined } & { endpoint: string }): EtcdFacts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as unknown as EtcdFacts;
}
