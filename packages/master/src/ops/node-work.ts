/** What a node still has to do, and when it should be free: by the usual time of its jobs, else by their timeout. An estimate; nobody waits for it but people. */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { NodeWork } from "../http/node-schema.ts";
import type { ProcEntry } from "../views.ts";
import { procsOf } from "./list-executions.ts";
import type { OpsDeps } from "./ops-deps.ts";

type WorkDeps = Pick<OpsDeps, "clock" | "keys" | "views">;

/** The executions that the node shows, oldest first. */
export function nodeWork(deps: WorkDeps, node: string): NodeWork[] {
  return procsOf(deps, { node })
    .map((entry) => workOf(deps, entry))
    .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
}

/** When the last of them should have ended; null when nobody can tell, also because more wait (`queued`). */
export function freeAt(work: readonly NodeWork[], queued: number): string | null {
  const ends = work.map((one) => one.freeAt);
  if (queued > 0 || ends.includes(null)) return null;
  return ends.sort().at(-1) ?? null;
}

function workOf(deps: WorkDeps, { group, job, proc }: ProcEntry): NodeWork {
  const { execution, attempt, pid, startedAt } = proc;
  const spec = deps.views.jobs.get(deps.keys.job(group, job))?.job;
  const usualMs = deps.views.stats.get(deps.keys.stats(group, job))?.stats.avgTimeMs ?? 0;
  const limitMs = spec === undefined || spec.timeoutMs === 0 ? 0 : spec.timeoutMs + spec.killGraceMs;
  const end = pid === 0 ? undefined : expectedEnd({ beganMs: Date.parse(startedAt), nowMs: deps.clock.now(), usualMs, limitMs });
  return { execution, group, job, attempt, startedAt, freeAt: end === undefined ? null : toIso(end) };
}

/** The usual end of a process, unless that is over; else the latest that its timeout allows; undefined when neither tells. 0 = not known. */
export function expectedEnd(process: { beganMs: EpochMs; nowMs: EpochMs; usualMs: number; limitMs: number }): EpochMs | undefined {
  const { beganMs, nowMs, usualMs, limitMs } = process;
  const usual = usualMs > 0 && beganMs + usualMs > nowMs ? beganMs + Math.round(usualMs) : undefined;
  const latest = limitMs > 0 ? Math.max(nowMs, beganMs + limitMs) : undefined;
  return usual === undefined ? latest : Math.min(usual, latest ?? usual);
}
