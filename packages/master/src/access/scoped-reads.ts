/** Reading etcd within some groups: what belongs to others is not there. Pages are filled up, so that a reader cannot tell how much is left out. */
import type { KeyValue, Kv, OpResult, RangeQuery, RangeResult, Txn, WatchEvent, WatchHandlers } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
import { isVisible } from "./families.ts";

type ReadDeps = { readonly kv: Kv; readonly keys: Keys };
type Groups = readonly string[];

const PAGE_KEYS = 500;

export async function getWithin({ kv, keys }: ReadDeps, groups: Groups, key: string): Promise<KeyValue | undefined> {
  const found = await kv.get(key);
  return found !== undefined && isVisible(keys, groups, key, found.value) ? found : undefined;
}

/** Answers as `range` does. `count` is that of the answer: how much there is beyond it is not told. */
export async function rangeWithin({ kv, keys }: ReadDeps, groups: Groups, query: RangeQuery): Promise<RangeResult> {
  const { countOnly = false, keysOnly = false, limit, reverse = false } = query;
  const found: KeyValue[] = [];
  let { start, end, revision } = query;
  for (;;) {
    const page = await kv.range({
      start,
      end,
      reverse,
      limit: Math.max(limit ?? 0, PAGE_KEYS),
      ...(revision === undefined ? {} : { revision }),
    });
    revision ??= page.revision;
    for (const one of page.kvs) {
      if (!isVisible(keys, groups, one.key, one.value)) continue;
      if (limit !== undefined && found.length >= limit) return { ...page, revision, kvs: found, more: true, count: found.length };
      found.push(keysOnly ? { ...one, value: "" } : one);
    }
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) {
      return { ...page, revision, kvs: countOnly ? [] : found, more: false, count: found.length };
    }
    if (reverse) end = last.key;
    else start = `${last.key}\0`;
  }
}

/** The results of a transaction, without the values of other groups. */
export function resultsWithin(keys: Keys, groups: Groups, ops: Txn["then"], results: readonly OpResult[]): OpResult[] {
  return results.map((result, at) => {
    const op = ops[at];
    if (result.op !== "get" || result.kv === undefined || op === undefined) return result;
    return isVisible(keys, groups, op.key, result.kv.value) ? result : { op: "get", kv: undefined };
  });
}

/** Hands on what happens within the groups. */
export function handlersWithin(keys: Keys, groups: Groups, handlers: WatchHandlers): WatchHandlers {
  const isShown = (event: WatchEvent) =>
    event.type === "put" ? isVisible(keys, groups, event.kv.key, event.kv.value) : isVisible(keys, groups, event.key);
  return { ...handlers, onEvents: (events, revision) => handlers.onEvents(events.filter(isShown), revision) };
}
