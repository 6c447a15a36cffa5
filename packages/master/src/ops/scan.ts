/** Reads a range page by page, so that no answer is large. */
import type { KeyValue, Kv } from "fleetcron-shared/store/kv";
import { prefixRange } from "fleetcron-shared/store/kv";

const PAGE_KEYS = 500;

/** The keys of [start, end) in order. What is written meanwhile may or may not be seen. */
export async function* scan(kv: Kv, query: { start: string; end: string; keysOnly?: boolean }): AsyncGenerator<KeyValue> {
  let start = query.start;
  for (;;) {
    const page = await kv.range({ ...query, start, limit: PAGE_KEYS });
    yield* page.kvs;
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return;
    start = `${last.key}\0`;
  }
}

/** The keys that begin with `prefix`, in order. */
export function scanPrefix(kv: Kv, prefix: string, options: { keysOnly?: boolean } = {}): AsyncGenerator<KeyValue> {
  return scan(kv, { ...prefixRange(prefix), ...options });
}
