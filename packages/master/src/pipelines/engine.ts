/**
 * The leader's pipeline engine: holds every run that is not over, and advances each, one transaction after the other, under the term and the run's own
 * revision: the run, its orders, and the requests that are thereby done. Whatever it knows it can read again, so it may be killed at any line. Etcd away:
 * runs stand still; agents go on with what they were ordered.
 */
import { createHash } from "node:crypto";
import { backoffMs } from "fleetcron-shared/base/backoff";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import type { Candidate } from "fleetcron-shared/model/pipeline/placement";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import type { RunAnswer, Unfinished } from "fleetcron-shared/model/pipeline/request";
import { isLive, isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { Op, Revision } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import { type LeaderDeps, type LeaderService, leaderStep } from "../leader/leader-deps.ts";
import { startLoop } from "../leader/loop.ts";
import { readKeys } from "../ops/read-keys.ts";
import { ADVANCE_LIMITS, advanceTxn, type Kill, type RunAddition, type RunChange, type StoredRun } from "./advance-txn.ts";
import { type Composed, compose, type World } from "./compose.ts";
import { createPool } from "./pool.ts";
import { createRequestQueue, type WaitingRequest } from "./request-queue.ts";
import { stepsOf } from "./steps-of.ts";
import { endOrder } from "./task-orders.ts";
import { startTidier } from "./tidy.ts";
import { createVigil } from "./vigil.ts";

export type EngineOptions = {
  readonly lostAfterMs: number;
  /** What else is written in the transaction of a change, such as notices; at most `ADVANCE_LIMITS.others`. */
  readonly alsoOf?: (change: RunChange) => Promise<RunAddition>;
};

/** `stale`: what is known may not be what is stored; it is read again before it is built upon. */
type Held = { readonly group: string; readonly pipeline: string; state: StoredRun | undefined; stale: boolean };

const KILLS_AT_ONCE = 60;
const IN_FLIGHT = 16;
const NOTHING: RunAddition = { if: [], then: [] };
const BACKOFF = { firstMs: 20, maxMs: 3000 };

export function startPipelines(deps: LeaderDeps, options: EngineOptions): LeaderService {
  const { keys, clock, views, term, newId, random } = deps;
  const log = deps.log.child({ service: "pipelines" });
  const runs = new Map<string, Held>();
  /** Runs that are about to be active, while it is not known whether that is stored: their sequence is taken. */
  const starting = new Map<string, RunDocument>();
  const queue = createRequestQueue(keys);
  const tidier = startTidier({ ...deps, log });
  const vigil = createVigil(deps, options.lostAfterMs, (ids) => {
    for (const id of ids ?? runs.keys()) pool.kick(id);
  });
  let failures = 0;

  const pool = createPool({ limit: IN_FLIGHT, ended: term.ended }, async (id) => {
    try {
      await advance(id);
      failures = 0;
    } catch (thrown) {
      const held = runs.get(id);
      if (held !== undefined) held.stale = true;
      if (term.ended.aborted) return;
      failures += 1;
      const error = asAppError(thrown);
      // A request that was written anew meanwhile, or a lost answer: it is read again.
      const isUsual = error.row.retry || error.code === "write/conflict";
      log[isUsual ? "warn" : "error"]({ run: id, err: error, code: error.code, failures }, "run not advanced, trying again");
      await clock.sleep(backoffMs({ random }, BACKOFF, failures), term.ended);
      pool.kick(id);
    }
  });

  /** Reads the run and its plan; false when there is none (any more). */
  async function load(id: string, held: Held): Promise<boolean> {
    const at = [keys.run(held.group, held.pipeline, id), keys.plan(held.group, held.pipeline, id)] as const;
    const found = await readKeys(deps.kv, at);
    starting.delete(id);
    const [run, snapshot] = [found.get(at[0]), found.get(at[1])];
    if (run === undefined || snapshot === undefined) return false;
    const [doc, plan] = [tryDecode<RunDocument>(run.key, run.value), tryDecode<RunPlan>(snapshot.key, snapshot.value)];
    if (doc === undefined || plan === undefined) {
      // Somebody wrote it by hand: the other runs go on.
      log.error({ run: id }, "a pipeline run cannot be read");
      return false;
    }
    held.state = { doc, plan, revision: run.modRevision };
    held.stale = false;
    return true;
  }

  async function advance(id: string): Promise<void> {
    const requests = queue.of(id).slice(0, ADVANCE_LIMITS.requests);
    const held = runs.get(id) ?? addFrom(id, requests);
    if (held === undefined) return drop(requests, undefined);
    if (held.stale && !(await load(id, held))) {
      runs.delete(id);
      return drop(requests, { v: 1, refused: { code: "pipeline/no-run", message: `there is no run ${id}` } });
    }
    const { state } = held;
    if (state === undefined) return;
    const budget = { orders: ADVANCE_LIMITS.orders, bytes: ADVANCE_LIMITS.orderBytes };
    const values = requests.map(({ request }) => request);
    const composed = compose(state.plan, state.doc, values, worldOf(), budget);
    const { run, effects } = composed;
    if (run !== state.doc || requests.length > 0) {
      const kills = [
        ...new Map(effects.flatMap((effect) => (effect.type === "kill" ? [[effect.execution, effect] as const] : []))).values(),
      ];
      const revision = await commit(state, composed, kills.slice(0, ADVANCE_LIMITS.kills), requests);
      deps.observe?.advanced(state.doc, run);
      held.state = { doc: run, plan: state.plan, revision };
      starting.delete(id);
      await sendKills(state.plan, run, kills.slice(ADVANCE_LIMITS.kills));
      for (const effect of effects)
        if (effect.type === "run")
          log.info({ run: id, pipeline: `${held.group}/${held.pipeline}`, from: effect.from, to: effect.to }, "run changed");
    }
    vigil.watch(id, run);
    if (isRunEnd(run.state)) finished(id, held, run);
    else if (composed.again || queue.of(id).length > 0) pool.kick(id);
  }

  function addFrom(id: string, requests: readonly WaitingRequest[]): Held | undefined {
    const where = requests.find(({ request }) => request.pipeline !== undefined)?.request.pipeline;
    if (where === undefined) return undefined;
    const held: Held = { group: where.group, pipeline: where.id, state: undefined, stale: true };
    runs.set(id, held);
    return held;
  }

  /** Requests that no run can use: facts about one that is over, intents about one that is gone. */
  async function drop(requests: readonly WaitingRequest[], answer: RunAnswer | undefined): Promise<void> {
    if (requests.length === 0) return;
    const lease = answer === undefined ? undefined : await deps.orderLease.current();
    const answers = requests.flatMap(({ id, request }): Op[] =>
      answer === undefined || request.ask !== true ? [] : [{ op: "put", key: keys.answer(id), value: encode(answer), lease }],
    );
    await leaderStep(deps, "drop", { then: [...requests.map(({ key }): Op => ({ op: "delete", key })), ...answers] });
    for (const { key } of requests) queue.done(key);
  }

  /** Stores what was composed; throws when the run or a request is not as it was read. */
  async function commit(before: StoredRun, made: Composed, kills: readonly Kill[], requests: readonly WaitingRequest[]): Promise<Revision> {
    const lease = await deps.orderLease.current();
    const api = views.leader.get(keys.leader)?.address;
    const { run: after, effects } = made;
    const change = { plan: before.plan, before: before.doc, after, effects };
    const also = after === before.doc ? NOTHING : ((await options.alsoOf?.(change)) ?? NOTHING);
    const txn = advanceTxn({ keys, lease, orderedAt: toIso(clock.now()), api, before, made, kills, requests, also });
    try {
      const result = await leaderStep(deps, stepsOf(keys, change, requests, also), txn);
      if (!result.succeeded) {
        await forgetDone(requests);
        throw new AppError("write/conflict", `run ${made.run.id} or one of its requests is not as it was read`);
      }
      for (const request of requests) queue.done(request.key);
      return result.revision;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === "etcd/lease-gone") deps.orderLease.forget(lease);
      if (error.code === "etcd/unknown-outcome") await forgetDone(requests).catch(() => {});
      throw error;
    }
  }

  /** Forgets requests that are done already: an earlier transaction whose answer was lost has been stored after all. */
  async function forgetDone(requests: readonly WaitingRequest[]): Promise<void> {
    const found = await readKeys(
      deps.kv,
      requests.map(({ key }) => key),
    );
    for (const { key } of requests) if (found.get(key) === undefined) queue.done(key);
  }

  /** The kills that did not fit into the run's own transaction. */
  async function sendKills(plan: RunPlan, run: RunDocument, kills: readonly Kill[]): Promise<void> {
    for (let at = 0; at < kills.length; at += KILLS_AT_ONCE) {
      const lease = await deps.orderLease.current();
      const context = { keys, lease, plan, run, orderedAt: toIso(clock.now()) };
      await leaderStep(deps, "kill", { then: kills.slice(at, at + KILLS_AT_ONCE).flatMap((kill) => endOrder(context, kill)) });
    }
  }

  function finished(id: string, held: Held, run: RunDocument): void {
    if (queue.of(id).length > 0) return pool.kick(id);
    runs.delete(id);
    for (const [other, { state }] of runs) if (isQueuedWith(state?.doc, run)) pool.kick(other);
    tidier.kick(held);
  }

  function isQueuedWith(other: RunDocument | undefined, run: RunDocument): boolean {
    return (
      other !== undefined &&
      run.sequence !== undefined &&
      other.sequence === run.sequence &&
      other.group === run.group &&
      other.pipeline === run.pipeline
    );
  }

  /** Whether it is the turn of a queued run: nobody of its sequence runs, and nobody waits longer. */
  function mayStart(run: RunDocument): boolean {
    if (run.sequence === undefined) return true;
    if ([...starting.values()].some((other) => other.id !== run.id && isQueuedWith(other, run))) return false;
    for (const { state } of runs.values()) {
      const other = state?.doc;
      if (other === undefined || other.id === run.id || !isQueuedWith(other, run)) continue;
      if (other.state === "active") return false;
      if (other.state === "queued" && (other.queuedAt < run.queuedAt || (other.queuedAt === run.queuedAt && other.id < run.id)))
        return false;
    }
    return true;
  }

  function worldOf(): World {
    return {
      nowMs: clock.now(),
      mayStart(run) {
        const isTurn = mayStart(run);
        if (isTurn) starting.set(run.id, run);
        return isTurn;
      },
      candidates,
      newId: () => newId(),
      newToken: () => {
        const token = Buffer.from(random.bytes(32)).toString("base64url");
        return { token, hash: createHash("sha256").update(token).digest("hex") };
      },
      hasStarted: vigil.hasStarted,
      isGone: vigil.isGone,
    };
  }

  /** The nodes, with what they report or what this engine has on them, whichever is more. */
  function candidates(): Candidate[] {
    const own = new Map<string, number>();
    for (const { state } of runs.values()) {
      for (const { instances = [] } of Object.values(state?.doc.tasks ?? {})) {
        for (const { node, state: now } of instances) if (isLive(now)) own.set(node, (own.get(node) ?? 0) + 1);
      }
    }
    return [...views.nodes.entries()].map(([, { info, labels }]) => {
      const alive = views.alive.get(keys.alive(info.id));
      const load = Math.max((alive?.running ?? 0) + (alive?.queued ?? 0), own.get(info.id) ?? 0);
      return { id: info.id, labels, online: alive !== undefined, draining: info.drain !== undefined, load };
    });
  }

  const unfinished = openMirror(deps, {
    prefix: keys.unfinishedAll,
    onEvents(events) {
      for (const event of events) {
        if (event.type !== "put") continue;
        const value = tryDecode<Unfinished>(event.kv.key, event.kv.value);
        const [, id = ""] = keys.parts(event.kv.key);
        if (value === undefined || runs.has(id)) continue;
        runs.set(id, { group: value.group, pipeline: value.pipeline, state: undefined, stale: true });
        pool.kick(id);
      }
    },
  });
  const requests = openMirror(deps, { prefix: keys.requests, onEvents: (events) => queue.follow(events, (id) => pool.kick(id)) });

  /** Nothing moves before all that is not over has been read: whose turn it is depends on the others. */
  async function takeOver(): Promise<void> {
    await Promise.all([unfinished.synced, requests.synced, views.pipelines.synced]);
    for (const [id, held] of runs) {
      if (held.stale && !(await load(id, held))) runs.delete(id);
      else if (held.state !== undefined) await sendKills(held.state.plan, held.state.doc, cancelling(held.state.doc));
    }
    log.info({ runs: runs.size, requests: queue.size }, "pipeline runs taken over");
    pool.open();
  }
  const beginning = startLoop({ ...deps, log }, term.ended, takeOver);
  beginning.kick();

  return {
    async stop() {
      vigil.close();
      await Promise.all([unfinished.close(), requests.close(), beginning.stop(), pool.stop(), tidier.stop()]);
    },
  };
}

/** What was to be ended when somebody else led: told again, should that have been lost between two transactions. */
function cancelling(run: RunDocument): Kill[] {
  return Object.entries(run.tasks).flatMap(([task, { attempt, instances = [], stopping }]) =>
    instances.flatMap(({ node, execution, state }): Kill[] =>
      state === "cancelling" ? [{ type: "kill", task, attempt, node, execution, reason: stopping?.message ?? "" }] : [],
    ),
  );
}
