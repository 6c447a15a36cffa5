/**
 * Owns the one lease under which this process is alive in etcd, and the only answer to "may I still act as its holder?".
 * Invariant: an incarnation is trusted until (start of the last acknowledged request + TTL − margin) on the monotonic clock, whatever the client
 * library, timers or the event loop say; once trust has ended it never comes back, and a new lease is granted instead. When etcd is away trust
 * runs out by itself; the old lease is then left to expire (revoking it would pass its locks on before their holder has stopped).
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock, MonoMs } from "../base/clock.ts";
import { AppError, asError, isCode } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Kv, LeaseId } from "./kv.ts";

/** One lease and the time for which it is trusted. */
export type Incarnation = {
  readonly lease: LeaseId;
  /** 1, 2, 3 … in this session. */
  readonly epoch: number;
  trustedUntil(): MonoMs;
  /** Aborts when trust ends. Timers can be late: authority is asked of `session.current()`. */
  readonly ended: AbortSignal;
};

export type Session = {
  /** The incarnation that is trusted at this instant. */
  current(): Incarnation | undefined;
  /** Calls `fn` with each new incarnation, and with undefined when trust has ended; the returned function ends that. */
  onChange(fn: (current: Incarnation | undefined) => void): () => void;
  /** Calls `fn` with each acknowledged keep-alive. */
  onRenewed(fn: (trustedUntil: MonoMs) => void): () => void;
  /** The current incarnation or the next one. Rejects with `etcd/closed`, or with the signal's reason. */
  trusted(signal?: AbortSignal): Promise<Incarnation>;
  /** One keep-alive more, now: what must outlive this process has the whole time before it. Resolves in any case, soon. */
  renew(): Promise<void>;
  /** Ends trust, then revokes the lease (best effort: it expires by itself), unless what is under it must stay until then. */
  close(options?: { readonly keepLease?: boolean }): Promise<void>;
};

/** `marginMs` default: a fifth of the TTL, at least 500 ms. It covers the time that a holder needs to stop. */
export type SessionOptions = { readonly ttlMs: number; readonly marginMs?: number | undefined };

const GRANT_BACKOFF = { firstMs: 100, maxMs: 2000 };

type Live = { readonly incarnation: Incarnation; readonly ending: AbortController; until: MonoMs; cancelTimer: () => void };

export function openSession(deps: { kv: Kv; clock: Clock; random: Pick<Random, "next">; log: Log }, options: SessionOptions): Session {
  const { kv, clock, random, log } = deps;
  const marginFor = (ttlMs: number) => Math.min(options.marginMs ?? Math.max(500, ttlMs / 5), ttlMs / 2);
  const closing = new AbortController();
  const changeListeners = new Set<(current: Incarnation | undefined) => void>();
  const renewListeners = new Set<(trustedUntil: MonoMs) => void>();
  let live: Live | undefined;
  let epochs = 0;

  function notify<T>(listeners: Iterable<(value: T) => void>, value: T): void {
    for (const listener of listeners) {
      try {
        listener(value);
      } catch (error) {
        log.error({ err: asError(error) }, "session listener failed");
      }
    }
  }

  function begin(lease: LeaseId, until: MonoMs): Live {
    epochs += 1;
    const ending = new AbortController();
    const begun: Live = {
      incarnation: { lease, epoch: epochs, trustedUntil: () => begun.until, ended: ending.signal },
      ending,
      until,
      cancelTimer: () => {},
    };
    live = begun;
    armEnd(begun);
    log.info({ lease, epoch: epochs }, "session started");
    notify(changeListeners, begun.incarnation);
    return begun;
  }

  function armEnd(session: Live): void {
    session.cancelTimer();
    session.cancelTimer = clock.after(Math.max(0, session.until - clock.mono()), () => {
      if (clock.mono() >= session.until) end(session, "trust ran out");
      else armEnd(session);
    });
  }

  function end(session: Live, why: string): void {
    if (session.ending.signal.aborted) return;
    session.cancelTimer();
    if (live === session) live = undefined;
    const { lease, epoch } = session.incarnation;
    log[closing.signal.aborted ? "info" : "warn"]({ lease, epoch, why }, "session ended");
    session.ending.abort();
    notify(changeListeners, undefined);
  }

  /** Also ends trust when the timer that should have done it has not come to run. */
  function current(): Incarnation | undefined {
    if (live && clock.mono() >= live.until) end(live, "trust ran out");
    return live?.incarnation;
  }

  /** One keep-alive. Resolves true when acknowledged; an answer after the end of trust changes nothing. */
  async function renew(session: Live): Promise<boolean> {
    const sentAt = clock.mono();
    try {
      const { ttlMs } = await kv.keepAlive(session.incarnation.lease);
      const until = sentAt + ttlMs - marginFor(ttlMs);
      if (session.ending.signal.aborted || clock.mono() >= until) return false;
      session.until = Math.max(session.until, until);
      armEnd(session);
      notify(renewListeners, session.until);
      return true;
    } catch (error) {
      if (isCode(error, "etcd/lease-gone")) end(session, "the lease is gone");
      else if (isCode(error, "etcd/closed")) end(session, "the store was closed");
      else log.debug({ err: asError(error) }, "keep-alive failed");
      return false;
    }
  }

  /** Renews every third of the TTL. One that fails or hangs is followed by another soon, as long as trust lasts. */
  async function keepAlive(session: Live, ttlMs: number): Promise<void> {
    const { ended } = session.incarnation;
    let wait = ttlMs / 3;
    for (let failures = 0; ; ) {
      await clock.sleep(wait, ended);
      if (ended.aborted) return;
      const startedAt = clock.mono();
      const acknowledged = await Promise.race([renew(session), clock.sleep(ttlMs / 6, ended).then(() => false)]);
      failures = acknowledged ? 0 : failures + 1;
      const elapsed = clock.mono() - startedAt;
      wait = acknowledged ? Math.max(0, ttlMs / 3 - elapsed) : backoffMs({ random }, { firstMs: ttlMs / 50, maxMs: ttlMs / 12 }, failures);
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; ) {
      const sentAt = clock.mono();
      try {
        const { lease, ttlMs } = await kv.grantLease(options.ttlMs);
        const until = sentAt + ttlMs - marginFor(ttlMs);
        if (closing.signal.aborted || clock.mono() >= until) void kv.revokeLease(lease).catch(() => {});
        else {
          failures = 0;
          await keepAlive(begin(lease, until), ttlMs);
          continue;
        }
      } catch (error) {
        if (isCode(error, "etcd/closed")) break;
        if (failures === 0) log.warn({ err: asError(error) }, "no lease from etcd");
      }
      failures += 1;
      await clock.sleep(backoffMs({ random }, GRANT_BACKOFF, failures), closing.signal);
    }
    closing.abort();
  }

  function subscribe<T>(listeners: Set<T>, listener: T): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** What was written under the lease may be gone, locks too, and what was deleted may be there again: nothing of it counts. */
  let cancelRevoke = () => {};
  const unfollow = kv.onReplaced(() => {
    const last = live;
    if (last === undefined) return;
    end(last, "etcd was restored or exchanged");
    // Whoever held a lock needs this long to stop.
    cancelRevoke = clock.after(marginFor(options.ttlMs), () => void kv.revokeLease(last.incarnation.lease).catch(() => {}));
  });

  const done = run();
  return {
    current,
    onChange: (fn) => subscribe(changeListeners, fn),
    onRenewed: (fn) => subscribe(renewListeners, fn),
    trusted(signal) {
      const now = current();
      if (now) return Promise.resolve(now);
      return new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          unsubscribe();
          signal?.removeEventListener("abort", onAbort);
          closing.signal.removeEventListener("abort", onClosed);
          settle();
        };
        const onAbort = () => finish(() => reject(signal?.reason));
        const onClosed = () => finish(() => reject(new AppError("etcd/closed", "the session was closed")));
        const unsubscribe = subscribe(changeListeners, (incarnation: Incarnation | undefined) => {
          if (incarnation) finish(() => resolve(incarnation));
        });
        signal?.addEventListener("abort", onAbort);
        closing.signal.addEventListener("abort", onClosed);
        if (signal?.aborted) onAbort();
        else if (closing.signal.aborted) onClosed();
      });
    },
    async renew() {
      if (live) await Promise.race([renew(live), clock.sleep(options.ttlMs / 6, live.incarnation.ended)]);
    },
    async close(how) {
      closing.abort();
      unfollow();
      cancelRevoke();
      const last = live;
      if (last) end(last, "closed");
      if (last && how?.keepLease !== true)
        await kv.revokeLease(last.incarnation.lease).catch((error: unknown) => log.debug({ err: asError(error) }, "lease not revoked"));
      await done;
    },
  };
}
