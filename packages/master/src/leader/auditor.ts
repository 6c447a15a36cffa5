/**
 * Sees to it that every due tick ends with a verdict: what nobody has reported when its grace is over gets a record `missed:<reason>`, one for consecutive ticks
 * of a rule and a node. What a node reports later takes its place. Level-triggered: `audited` says up to when ticks have been looked at, and whoever leads next
 * goes on from there. Etcd away: nothing is written, and nothing is forgotten.
 */
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import type { Audited } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { Revision } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { createTurns } from "../ops/turns.ts";
import type { Timetable } from "../timetable.ts";
import { jobEntry } from "../views.ts";
import { type AuditPass, createAuditPass } from "./audit-pass.ts";
import type { Filer } from "./filer.ts";
import { type LeaderDeps, type LeaderService, leaderTxn } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

export type AuditorOptions = {
  /** A tick without a report counts as missed so long after its time, jitter and `holdFor` apart. */
  readonly missedAfterMs: number;
  readonly lostAfterMs: number;
};

const LONGEST_PAUSE_MS = 10_000;
const SHORTEST_PAUSE_MS = 250;
/** Ticks further back are not looked at when nobody has led for so long. */
const MAX_BACK_MS = 86_400_000;
/** Of a job that is edited again and again. */
const MAX_FORMS = 20;

export function startAuditor(deps: LeaderDeps & { filer: Filer; timetable: Timetable }, options: AuditorOptions): LeaderService {
  const { kv, keys, clock, views, term, filer } = deps;
  const log = deps.log.child({ service: "auditor" });
  const everyMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, options.missedAfterMs / 4));
  /** Filed since the last pass. */
  let filed: ExecutionRecord[] = [];
  let pass: AuditPass | undefined;
  let disarm = () => {};
  const ends: (() => void)[] = [];

  /** Takes over from the leader before. */
  async function begin(): Promise<AuditPass> {
    const { kvs, revision } = await kv.range({ start: keys.audited, end: `${keys.audited}\0` });
    // Jobs may lag: their changes are followed.
    await Promise.all([views.nodes, views.alive, views.procs, views.stats].map((view) => view.reached(revision)));
    const nowMs = clock.now();
    const [held] = kvs;
    const before = held === undefined ? undefined : decode<Audited>(held.key, held.value);
    const untilMs = before === undefined ? nowMs : Math.max(fromIso(before.until) ?? nowMs, nowMs - MAX_BACK_MS);
    const begun = createAuditPass({ ...deps, log }, options, { untilMs, startedMs: nowMs });
    ends.push(begun.follow());
    const turn = createTurns(clock);
    for (const [, entry] of views.jobs.entries()) {
      const { job } = entry;
      if (before !== undefined) for (const old of await formerForms(job, begun)) begun.put(old);
      begun.put(job);
      await turn();
    }
    begun.reopen(before?.open ?? []);
    log.info({ until: toIso(untilMs), open: before?.open.length ?? 0, jobs: views.jobs.size }, "auditing");
    return begun;
  }

  /** The forms of a job that may have ticks which nobody has looked at, oldest first, as far as etcd still knows them. */
  async function formerForms(job: Job, begun: AuditPass): Promise<Job[]> {
    const forms: Job[] = [];
    for (let form = job; form.updatedAtMs > form.createdAtMs && begun.isRecent(form); ) {
      const old = await formAt(keys.job(job.group, job.id), form.revision - 1);
      if (old === undefined || old.createdAtMs !== job.createdAtMs || forms.length >= MAX_FORMS) break;
      forms.unshift(old);
      form = old;
    }
    return forms;
  }

  async function formAt(key: string, revision: Revision): Promise<Job | undefined> {
    try {
      const { kvs } = await kv.range({ start: key, end: `${key}\0`, revision });
      return kvs[0] === undefined ? undefined : jobEntry(kvs[0]).job;
    } catch (error) {
      log.debug({ err: error, key }, "a job's form before a change is no longer known");
      return undefined;
    }
  }

  async function round(signal: AbortSignal): Promise<void> {
    disarm();
    disarm = clock.after(everyMs, () => loop.kick());
    pass ??= await begin();
    const nowMs = clock.now();
    const startedMono = clock.mono();
    await filer.settled(signal);
    if (signal.aborted) return;
    const taken = filed;
    filed = [];
    pass.note(taken);
    const written = await pass.run(nowMs, signal, () => {
      const late = filed;
      filed = [];
      return late;
    });
    if (signal.aborted) return;
    const audited: Audited = { v: 1, ...pass.position(nowMs) };
    await leaderTxn(deps, { then: [{ op: "put", key: keys.audited, value: encode(audited) }] });
    const fields = { tookMs: Math.round(clock.mono() - startedMono), ...pass.counts(), written };
    log.debug(fields, "ticks audited");
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  ends.push(
    filer.onFiled((records) => {
      filed.push(...records);
      for (const { outcome, dueCount } of records)
        if (outcome.type === "missed") deps.observe?.missed(outcomeWord(outcome).slice("missed:".length), dueCount ?? 1);
    }),
  );
  loop.kick();
  return {
    async stop() {
      for (const end of ends) end();
      disarm();
      await loop.stop();
      disarm();
      for (const end of ends) end();
    },
  };
}
