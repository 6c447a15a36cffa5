/**
 * One leader among candidates: whoever creates the key under its session's lease. A term is fenced by the key's create revision, which every
 * write of the leader compares; it ends when the session's trust ends (before the lease does, so two candidates never both believe) or
 * when the key is gone or another's. Waiting is by mirror, so compaction or lost events cannot leave a candidate waiting for ever.
 * When etcd is away the term ends with the session; nobody leads until etcd is back.
 */
import { backoffMs } from "../base/backoff.ts";
import { asError } from "../base/errors.ts";
import { type Compare, type KeyValue, type Revision, sameIncarnation } from "./kv.ts";
import { acquireLock } from "./lock.ts";
import { type MirrorDeps, openMirror } from "./mirror.ts";
import type { Incarnation, Session } from "./session.ts";

/** A time of leadership. */
export type Term = {
  /** The create revision of the leader key: grows from term to term, whoever leads. */
  readonly revision: Revision;
  /** Belongs into every transaction that the leader makes as the leader. */
  readonly guard: Compare;
  readonly ended: AbortSignal;
  /** Whether the term holds at this instant, by the monotonic clock. */
  trusted(): boolean;
};

export type Election = {
  /** Our term, while it is trusted. */
  term(): Term | undefined;
  /** The key as last seen: who leads, be it us or another. */
  holder(): KeyValue | undefined;
  /** Calls `fn` with each term of ours, and with undefined at its end; the returned function ends that. */
  onChange(fn: (term: Term | undefined) => void): () => void;
  /** Gives the leadership up, and lets others go first. */
  resign(): Promise<void>;
  /** Resigns and stops campaigning. The session stays open. */
  close(): Promise<void>;
};

/** `value` names the candidate to people; the session's lease makes the key unique. */
export type ElectionOptions = { readonly key: string; readonly value: string; readonly session: Session };

const RETRY = { firstMs: 50, maxMs: 1000 };
const RESYNC_MS = 15_000;
/** After resigning, others get this long to take over. */
const RESIGN_PAUSE_MS = 1000;

export function openElection(deps: MirrorDeps, options: ElectionOptions): Election {
  const { kv, clock, random, log } = deps;
  const { key, value, session } = options;
  const closing = new AbortController();
  const listeners = new Set<(term: Term | undefined) => void>();
  let holder: KeyValue | undefined;
  let keyChanged = Promise.withResolvers<void>();
  let current: { readonly term: Term; readonly end: () => void } | undefined;
  let pauseMs = 0;

  const mirror = openMirror(deps, {
    prefix: key,
    resyncMs: RESYNC_MS,
    onEvents(events, revision) {
      for (const event of events) {
        if (event.type === "put" && event.kv.key === key) holder = event.kv;
        if (event.type === "delete" && event.key === key) holder = undefined;
      }
      // What the mirror tells may be older than our term: only what is at least as new can end it.
      if (current && revision >= current.term.revision && holder?.createRevision !== current.term.revision) current.end();
      keyChanged.resolve();
      keyChanged = Promise.withResolvers();
    },
  });

  function notify(term: Term | undefined): void {
    for (const listener of listeners) {
      try {
        listener(term);
      } catch (error) {
        log.error({ err: asError(error) }, "election listener failed");
      }
    }
  }

  /** Resolves when the term has ended. */
  function lead(revision: Revision, incarnation: Incarnation): Promise<void> {
    const ending = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    const trusted = () => !ending.signal.aborted && session.current()?.epoch === incarnation.epoch;
    const term: Term = { revision, guard: sameIncarnation(key, revision), ended: ending.signal, trusted };
    const end = () => {
      if (ending.signal.aborted) return;
      incarnation.ended.removeEventListener("abort", end);
      current = undefined;
      ending.abort();
      log.info({ term: revision }, "leadership ended");
      notify(undefined);
      resolve();
    };
    current = { term, end };
    incarnation.ended.addEventListener("abort", end);
    log.info({ term: revision }, "leadership won");
    notify(term);
    if (incarnation.ended.aborted) end();
    return promise;
  }

  /** Tries once, or waits until trying makes sense; leads for as long as it lasts. */
  async function campaign(): Promise<void> {
    const incarnation = await session.trusted(closing.signal);
    if (holder !== undefined && holder.lease !== incarnation.lease) return wait(keyChanged.promise, incarnation.ended);
    const result = await acquireLock(kv, { key, value, lease: incarnation.lease });
    if (result.acquired) {
      if (!closing.signal.aborted) return lead(result.fence, incarnation);
      await release(result.fence);
    } else if (result.holder) await mirror.reached(result.holder.modRevision);
  }

  function wait(...until: (Promise<void> | AbortSignal)[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const finished = new AbortController();
    for (const each of [...until, closing.signal]) {
      if (each instanceof Promise) each.then(resolve, resolve);
      else if (each.aborted) resolve();
      else each.addEventListener("abort", () => resolve(), { signal: finished.signal });
    }
    return promise.finally(() => finished.abort());
  }

  async function run(): Promise<void> {
    await mirror.synced.catch(() => {});
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await campaign();
        failures = 0;
      } catch (error) {
        if (closing.signal.aborted) break;
        failures += 1;
        if (failures === 1) log.warn({ err: asError(error) }, "campaign failed");
        await clock.sleep(backoffMs({ random }, RETRY, failures), closing.signal);
      }
      const pause = pauseMs;
      pauseMs = 0;
      if (pause > 0) await clock.sleep(pause, closing.signal);
    }
  }

  async function release(revision: Revision): Promise<void> {
    await kv
      .txn({ if: [sameIncarnation(key, revision)], then: [{ op: "delete", key }] })
      .catch((error: unknown) => log.debug({ err: asError(error) }, "leader key left to its lease"));
  }

  async function resign(): Promise<void> {
    if (!current) return;
    const { revision } = current.term;
    pauseMs = RESIGN_PAUSE_MS;
    current.end();
    await release(revision);
  }

  const done = run();
  return {
    term: () => (current?.term.trusted() ? current.term : undefined),
    holder: () => holder,
    onChange(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    resign,
    async close() {
      closing.abort();
      await resign();
      await mirror.close();
      await done;
    },
  };
}
