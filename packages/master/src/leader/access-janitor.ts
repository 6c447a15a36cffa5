/**
 * Deletes what the audit log has too much of (age, number) and tokens that have been dead for weeks. A pass each ten minutes, range deletes under the term.
 * Etcd away: the next pass does it.
 */
import { fromIso } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import { exists, prefixEnd } from "fleetcron-shared/store/kv";
import { type LeaderDeps, type LeaderService, leaderTxn } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

export type AccessJanitorOptions = { readonly auditRetentionMs: number; readonly everyMs?: number; readonly maxEntries?: number };

const EVERY_MS = 600_000;
/** Some 40 MB. */
const MAX_ENTRIES = 20_000;
const READ = 1000;
/** How long the name of a revoked or expired token stays taken. */
const DEAD_TOKEN_MS = 30 * 86_400_000;

export function startAccessJanitor(deps: LeaderDeps, options: AccessJanitorOptions): LeaderService {
  const { kv, keys, clock, views, term } = deps;
  const { auditRetentionMs, everyMs = EVERY_MS, maxEntries = MAX_ENTRIES } = options;
  const log = deps.log.child({ service: "accessJanitor" });
  let disarm = () => {};

  async function round(): Promise<void> {
    disarm();
    disarm = clock.after(everyMs, () => loop.kick());
    const byAge = keys.audits + firstIdAt(clock.now() - auditRetentionMs);
    const byCount = await keyBefore(maxEntries);
    const end = byCount !== undefined && byCount > byAge ? byCount : byAge;
    const { results } = await leaderTxn(deps, { then: [{ op: "deleteRange", key: keys.audits, end }] });
    const deleted = results[0]?.op === "deleteRange" ? results[0].deleted : 0;
    if (deleted > 0) log.debug({ deleted }, "old entries of the audit log deleted");
    for (const [key, { revokedAt, expiresAt }] of [...views.tokens.entries()]) {
      const deadMs = fromIso(revokedAt ?? expiresAt ?? "");
      if (deadMs !== undefined && clock.now() - deadMs > DEAD_TOKEN_MS)
        await leaderTxn(deps, { if: [exists(key)], then: [{ op: "delete", key }] });
    }
  }

  /** Where the newest `count` entries begin; undefined when there are not more. */
  async function keyBefore(count: number): Promise<string | undefined> {
    const { count: there } = await kv.range({ start: keys.audits, end: prefixEnd(keys.audits), countOnly: true });
    let surplus = there - count;
    let start = keys.audits;
    while (surplus > 0) {
      const page = await kv.range({ start, end: prefixEnd(keys.audits), limit: Math.min(READ, surplus), keysOnly: true });
      const last = page.kvs.at(-1);
      if (last === undefined) return undefined;
      surplus -= page.kvs.length;
      start = `${last.key}\0`;
    }
    return start === keys.audits ? undefined : start;
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  loop.kick();
  return {
    async stop() {
      disarm();
      await loop.stop();
    },
  };
}
