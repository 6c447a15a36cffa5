/** What etcd tells of itself: its /metrics, its leases, its keys. */
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { keys } from "../../support/fake-agent.ts";

/** Sums over the series of a metric, by its name; counters and gauges of Prometheus' text form. Pure. */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name = "", labels = "", value = ""] = /^([a-zA-Z_:][\w:]*)(\{.*\})? ([^ ]+)$/.exec(line) ?? [];
    if (name === "") continue;
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
    const method = /grpc_method="(\w+)"/.exec(labels)?.[1];
    if (method !== undefined) sums.set(`${name}:${method}`, (sums.get(`${name}:${method}`) ?? 0) + Number(value));
  }
  return sums;
}

export async function metricsOf(url: string, token?: string): Promise<(name: string) => number> {
  const answer = await fetch(`${url}/metrics`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(`${url}/metrics answers ${answer.status}`);
  const found = parseMetrics(await answer.text());
  return (name) => found.get(name) ?? 0;
}

export async function countLeases(etcd: string): Promise<number> {
  const answer = await fetch(`${etcd}/v3/lease/leases`, { method: "POST", body: "{}" });
  const { leases } = (await answer.json()) as { leases?: unknown[] };
  return leases?.length ?? 0;
}

export async function countKeys(kv: Kv, prefix: string): Promise<number> {
  return (await kv.range({ ...prefixRange(prefix), countOnly: true })).count;
}

/** The families under Fleetcron's prefix that can hold keys, with how many they hold. */
export async function countFamilies(kv: Kv): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (let start = keys.all; ; ) {
    const { kvs } = await kv.range({ start, end: prefixRange(keys.all).end, limit: 1, keysOnly: true });
    const family = keys.parts(kvs[0]?.key ?? "")[0];
    if (kvs.length === 0 || family === undefined) return counts;
    const prefix = `${keys.all}${family}`;
    // A family is one key (`leader`) or all keys below it.
    const end = kvs[0]?.key === prefix ? `${prefix}\0` : prefixRange(`${prefix}/`).end;
    counts.set(family, (await kv.range({ start: prefix, end, countOnly: true })).count);
    start = end;
  }
}
