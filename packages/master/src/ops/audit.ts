/** The audit log, newest first. It is read from etcd as it is asked for. */
import { fromIso } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import type { AuditEntry } from "fleetcron-shared/model/access";
import { prefixEnd } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { AuditPage } from "../http/access-schema.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, isText, toCursor } from "./page.ts";

export type AuditQuery = {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly who?: string | undefined;
  /** A kind such as `job`, a key such as `db/backup`, or both: `job:db/backup`. */
  readonly resource?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

/** With a filter that few entries pass, a page ends after so many; the cursor goes on from there. */
const MAX_LOOKED_AT = 5000;
const READ = 200;

export async function listAudit({ kv, keys }: Pick<OpsDeps, "kv" | "keys">, query: AuditQuery): Promise<AuditPage> {
  const before = fromCursor(query.cursor, isText);
  const until = query.until === undefined ? prefixEnd(keys.audits) : keys.audits + firstIdAt(fromIso(query.until) ?? 0);
  const start = query.since === undefined ? keys.audits : keys.audits + firstIdAt(fromIso(query.since) ?? 0);
  let end = before !== undefined && keys.audits + before < until ? keys.audits + before : until;
  const items: AuditPage["items"] = [];
  for (let lookedAt = 0; start < end; ) {
    const page = await kv.range({ start, end, reverse: true, limit: READ });
    for (const { key, value } of page.kvs) {
      lookedAt += 1;
      end = key;
      const entry = tryDecode<AuditEntry>(key, value);
      if (entry !== undefined && passes(entry, query)) items.push({ ...entry, changes: [...entry.changes] });
      if (items.length >= query.limit || lookedAt >= MAX_LOOKED_AT) return { items, next: toCursor(key.slice(keys.audits.length)) };
    }
    if (!page.more) break;
  }
  return { items };
}

function passes({ who, changes }: AuditEntry, query: AuditQuery): boolean {
  if (query.who !== undefined && who.name !== query.who) return false;
  const { resource } = query;
  return resource === undefined || changes.some(({ kind, key }) => [kind, key, `${kind}:${key}`].includes(resource));
}
