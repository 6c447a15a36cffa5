/**
 * One term's audit: what is known of jobs, nodes and reports, and a pass over the ticks whose grace is over. Reads etcd only for jobs with ticks that nobody has
 * reported. A pass that fails half-way loses nothing: what it has not written it finds again.
 */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { Audited } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { NO_NODE } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { fromKey, toKey } from "../job-ref.ts";
import { createTurns } from "../ops/turns.ts";
import type { Timetable } from "../timetable.ts";
import { type AuditRule, createAuditBook } from "./audit-book.ts";
import { createAuditFollower } from "./audit-follow.ts";
import { JUDGE_TIMES, judge } from "./audit-judge.ts";
import { createAuditNotes } from "./audit-notes.ts";
import { claimKey, readClaims, readJobRecords } from "./audit-reads.ts";
import { addOpen, createTrouble, isEmpty, type OpenTick, report, type Trouble } from "./audit-trouble.ts";
import { writeTroubles } from "./audit-write-jobs.ts";
import type { AuditorOptions } from "./auditor.ts";
import type { LeaderDeps } from "./leader-deps.ts";

export type AuditPass = ReturnType<typeof createAuditPass>;

/** Whoever leads next is told of so many open ticks by name; for more it looks further back. */
const MAX_OPEN = 300;
/** Of the records of a job that were filed before this term: clocks of nodes may be ahead by so much. */
const AHEAD_MS = 60_000;
const READS_A_PASS = 2000;
const UNSURE_A_PASS = 50;
const IN_FLIGHT = 8;
/** The more jobs are missed, the less often the ranges of each are made longer: at most a hundred a second. */
const LONGER_MS = 10;

export function createAuditPass(
  deps: LeaderDeps & { timetable: Timetable },
  options: AuditorOptions,
  from: { readonly untilMs: EpochMs; readonly startedMs: EpochMs },
) {
  const { keys, clock, views, log } = deps;
  const book = createAuditBook(deps, options.missedAfterMs);
  const notes = createAuditNotes({ book, observe: deps.observe });
  const follower = createAuditFollower(deps, book, from.untilMs);
  const troubles = new Map<JobKey, Trouble>();
  /** Jobs whose records from before this term have been read. */
  const read = new Set<JobKey>();
  const unsure = new Set<JobKey>();
  const times = { ...JUDGE_TIMES, lostAfterMs: options.lostAfterMs };

  function troubleOf(key: JobKey): Trouble {
    const known = troubles.get(key);
    if (known !== undefined) return known;
    const trouble = createTrouble(key);
    const { group, id } = fromKey(key);
    // Nobody has found a tick of it missed, so there is nothing to read.
    if (views.stats.get(keys.stats(group, id))?.stats.missedUntil === undefined) trouble.ranges = [];
    troubles.set(key, trouble);
    return trouble;
  }

  function note(records: readonly ExecutionRecord[]): void {
    const nowMs = clock.now();
    for (const record of records) follower.heard(record, nowMs);
    for (const [key, spans] of notes.take(records, nowMs)) {
      const { group, id } = fromKey(key);
      const mayHaveRanges = views.stats.get(keys.stats(group, id))?.stats.missedUntil !== undefined;
      const trouble = troubles.get(key) ?? (mayHaveRanges ? troubleOf(key) : undefined);
      if (trouble !== undefined) report(trouble, spans);
    }
  }

  /** A tick whose grace is over: for whom it was, as far as nobody has reported. */
  function open(of: AuditRule, dueMs: EpochMs): void {
    const { job, rule } = of;
    if (job.kind !== "common") {
      if (!notes.has(job.key, rule.id, dueMs, undefined)) addOpen(troubleOf(job.key), { of, dueMs, node: undefined });
    } else {
      const nodes = follower.nodes.at(rule.target, dueMs);
      for (const { id } of nodes) {
        if (!notes.has(job.key, rule.id, dueMs, id)) addOpen(troubleOf(job.key), { of, dueMs, node: id });
      }
      if (nodes.length === 0 && !notes.has(job.key, rule.id, dueMs, undefined)) addOpen(troubleOf(job.key), { of, dueMs, node: NO_NODE });
    }
    notes.drop(job.key, rule.id, dueMs);
  }

  function needsRead(trouble: Trouble): boolean {
    if (trouble.ranges === undefined || trouble.isUnsure)
      return trouble.isUnsure || trouble.open.size + trouble.decided.length + trouble.spans.length > 0;
    if (read.has(trouble.key)) return false;
    for (const { dueMs } of trouble.open.values()) if (dueMs <= from.startedMs + AHEAD_MS) return true;
    return false;
  }

  async function readJob(trouble: Trouble): Promise<void> {
    const ref = fromKey(trouble.key);
    const job = views.jobs.get(keys.job(ref.group, ref.id))?.job;
    if (job === undefined) return;
    const suspects = read.has(trouble.key) ? [] : [...trouble.open.values()].map(({ dueMs }) => dueMs);
    const wasUnsure = trouble.isUnsure;
    const sinceMs = suspects.length === 0 ? undefined : Math.min(...suspects);
    const found = await readJobRecords(deps, job, { sinceMs, all: wasUnsure });
    trouble.ranges = found.ranges;
    trouble.voids = found.voids;
    trouble.isUnsure = false;
    const spans = [...trouble.spans, ...found.spans];
    trouble.spans = [];
    report(trouble, spans);
    // What the ranges tell of already is told.
    const own = found.ranges.map(({ range }) => range);
    report(trouble, own);
    trouble.spans = trouble.spans.filter((span) => !own.includes(span as (typeof own)[number]));
    if (sinceMs === undefined) return;
    read.add(trouble.key);
    notes.learn(trouble.key, found.spans, clock.now());
    for (const [key, { dueMs }] of trouble.open) if (dueMs < found.completeFromMs) trouble.open.delete(key);
  }

  async function readAll(signal: AbortSignal): Promise<void> {
    const asked: Trouble[] = [];
    for (const trouble of troubles.values()) {
      if (asked.length >= READS_A_PASS) break;
      if (needsRead(trouble)) asked.push(trouble);
    }
    let next = 0;
    const worker = async () => {
      for (let trouble = asked[next++]; trouble !== undefined && !signal.aborted; trouble = asked[next++]) await readJob(trouble);
    };
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, asked.length) }, worker));
  }

  function judgeTick(tick: OpenTick, nowMs: EpochMs, claim: Parameters<typeof judge>[1]["claim"]) {
    const { of, dueMs, node } = tick;
    const { job, rule } = of;
    const isOfNode = node !== undefined && node !== NO_NODE;
    const one = isOfNode ? follower.nodes.get(node) : undefined;
    const nodes = isOfNode ? (one === undefined ? [] : [one]) : node === NO_NODE ? [] : follower.nodes.at(rule.target, dueMs);
    return judge(
      {
        ...{ dueMs, graceMs: of.graceMs, misfireWindowMs: job.misfireWindowMs, formMs: job.updatedAtMs, formUntilMs: of.form.lastMs },
        node: isOfNode ? node : undefined,
        queues: job.overlap === "queue" || job.overlap === "replace",
      },
      {
        nowMs,
        nodes,
        claim,
        runs: (id, what) => follower.runs(id, job.key, what === "job" ? undefined : { ruleId: rule.id, dueAt: toIso(dueMs) }),
      },
      times,
    );
  }

  /** Ticks of the whole cluster that would be missed are looked up among the claims first. */
  async function judgeAll(nowMs: EpochMs, turn: () => Promise<void>): Promise<void> {
    const asked: { trouble: Trouble; key: string; tick: OpenTick }[] = [];
    for (const trouble of troubles.values()) {
      if (needsRead(trouble)) continue;
      for (const [key, tick] of trouble.open) {
        if (settle(trouble, key, tick, nowMs, undefined)) asked.push({ trouble, key, tick });
      }
      await turn();
    }
    if (asked.length === 0) return;
    const claims = await readClaims(
      deps,
      asked.map(({ tick }) => tick),
    );
    for (const { trouble, key, tick } of asked) {
      if (!trouble.open.has(key)) continue;
      settle(trouble, key, tick, nowMs, claims.get(claimKey(keys, tick)) ?? "none");
    }
  }

  /** Judges one tick; true when its claim has to be known first. */
  function settle(
    trouble: Trouble,
    key: string,
    tick: OpenTick,
    nowMs: EpochMs,
    claim: Parameters<typeof judge>[1]["claim"] | "none",
  ): boolean {
    const judgement = judgeTick(tick, nowMs, claim === "none" ? undefined : claim);
    if (judgement.type === "wait") return false;
    if (judgement.type === "missed") {
      if (claim === undefined && tick.node === undefined && follower.mayBeClaimed(tick.of.rule.target, tick.dueMs)) return true;
      const { of, dueMs, node = NO_NODE } = tick;
      trouble.decided.push({ of, ruleId: of.rule.id, node, reason: judgement.reason, dueMs });
    }
    trouble.open.delete(key);
    return false;
  }

  function checkUnsure(): void {
    let count = 0;
    for (const key of unsure) {
      if (count >= UNSURE_A_PASS) return;
      unsure.delete(key);
      troubleOf(key).isUnsure = true;
      count += 1;
    }
  }

  return {
    put: (job: Job) => book.put(job, from.untilMs),
    /** Whether ticks of the job's form before may not have been looked at. */
    isRecent: (job: Job) =>
      job.rules.some((rule) => job.updatedAtMs > from.untilMs - options.missedAfterMs - rule.jitterMs - job.holdForMs),
    /** Begins to follow jobs and nodes. */
    follow(): () => void {
      for (const [key, { stats }] of views.stats.entries()) {
        const [, group = "", id = ""] = keys.parts(key);
        const job = views.jobs.get(keys.job(group, id))?.job;
        if (job === undefined || stats.missedUntil === undefined) continue;
        // Older ones are gone by retention.
        if (job.retain.ageMs > 0 && (fromIso(stats.missedUntil) ?? 0) < from.startedMs - job.retain.ageMs) continue;
        unsure.add(toKey({ group, id }));
      }
      return follower.start();
    },
    /** What the leader before was waiting for. */
    reopen(ticks: Audited["open"]): void {
      for (const { job, rule, dueAt, node } of ticks) {
        const of = book.ruleOf(job, rule);
        const dueMs = fromIso(dueAt);
        if (of !== undefined && dueMs !== undefined) addOpen(troubleOf(job), { of, dueMs, node });
      }
    },
    note,
    /** `late`: gives what was filed while the pass went on. Returns how many records were written. */
    async run(nowMs: EpochMs, signal: AbortSignal, late: () => readonly ExecutionRecord[]): Promise<number> {
      const turn = createTurns(clock);
      for (let due = book.take(nowMs); due !== undefined; due = book.take(nowMs)) {
        open(due.of, due.dueMs);
        await turn();
      }
      checkUnsure();
      await readAll(signal);
      await judgeAll(nowMs, turn);
      if (signal.aborted) return 0;
      const written = await writeTroubles(
        deps,
        {
          troubles,
          follower,
          book,
          everyMs: Math.max(Math.min(60_000, options.missedAfterMs), troubles.size * LONGER_MS),
          before: () => note(late()),
        },
        nowMs,
        signal,
      );
      for (const [key, trouble] of troubles) {
        const { group, id } = fromKey(key);
        if (isEmpty(trouble) || views.jobs.get(keys.job(group, id)) === undefined) troubles.delete(key);
      }
      notes.prune(nowMs);
      follower.prune(nowMs);
      if (written > 0) log.debug({ written }, "verdicts of missed ticks written");
      return written;
    },
    /** How far everything has been looked at and written. */
    position(nowMs: EpochMs): Pick<Audited, "until" | "open"> {
      let untilMs = nowMs;
      const waiting: OpenTick[] = [];
      for (const { open: ticks, decided } of troubles.values()) {
        for (const { dueMs, of } of decided) untilMs = Math.min(untilMs, dueMs + of.graceMs - 1);
        waiting.push(...ticks.values());
      }
      waiting.sort((a, b) => a.dueMs - b.dueMs);
      for (const { dueMs, of } of waiting.slice(MAX_OPEN)) untilMs = Math.min(untilMs, dueMs + of.graceMs - 1);
      return {
        until: toIso(untilMs),
        open: waiting.slice(0, MAX_OPEN).map(({ of, dueMs, node }) => ({
          ...{ job: of.job.key, rule: of.rule.id, dueAt: toIso(dueMs) },
          ...(node === undefined ? {} : { node }),
        })),
      };
    },
    counts: () => ({ rules: book.size, noted: notes.size, troubled: troubles.size }),
  };
}
