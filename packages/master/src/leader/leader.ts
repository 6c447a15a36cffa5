/**
 * Starts the leader's services with each term and stops them with it. They are given the term, and every write of theirs carries its guard, so
 * a service that is slow to stop cannot write after its time.
 */
import { asError } from "fleetcron-shared/base/errors";
import type { Election, Term } from "fleetcron-shared/store/election";
import type { Sender } from "../notify/sender.ts";
import { createTimetable } from "../timetable.ts";
import { startAccessJanitor } from "./access-janitor.ts";
import { startAuditor } from "./auditor.ts";
import { startDispatcher } from "./dispatcher.ts";
import { startFiler } from "./filer.ts";
import { startJanitor } from "./janitor.ts";
import type { LeaderDeps, LeaderService } from "./leader-deps.ts";
import { startNotifier } from "./notifier.ts";
import { startUndertaker } from "./undertaker.ts";

export type Leader = { isLeading(): boolean; stop(): Promise<void> };

export function followElection(
  deps: Omit<LeaderDeps, "term"> & { election: Election; send: Sender },
  options: { lostAfterMs: number; missedAfterMs: number; auditRetentionMs: number; timezone: string },
  /** Starts the services that are no part of this folder. */
  others: (own: LeaderDeps) => readonly LeaderService[],
): Leader {
  const { election, log } = deps;
  let services: LeaderService[] = [];
  /** Terms are handled one after the other. */
  let turn = Promise.resolve();

  async function begin(term: Term): Promise<void> {
    const own = { ...deps, term };
    // The views may lag behind what earlier leaders have written; every write compares what it builds on, so that costs a retry at most.
    await Promise.all([deps.views.jobs, deps.views.nodes, deps.views.alive, deps.views.procs, deps.views.stats].map((view) => view.synced));
    if (term.ended.aborted) return;
    const filer = startFiler(own);
    services = [
      filer,
      startDispatcher(own),
      startUndertaker({ ...own, filer }, options),
      startAuditor({ ...own, filer, timetable: createTimetable(options.timezone) }, options),
      startJanitor(own),
      startAccessJanitor(own, { auditRetentionMs: options.auditRetentionMs }),
      startNotifier(own),
      ...others(own),
    ];
    log.info({ term: term.revision }, "leader services started");
  }

  async function end(): Promise<void> {
    const ending = services;
    services = [];
    await Promise.all(ending.map((service) => service.stop()));
  }

  function take(term: Term | undefined): void {
    turn = turn
      .then(end)
      .then(() => (term === undefined ? undefined : begin(term)))
      .catch((error: unknown) => log.error({ err: asError(error) }, "leader services failed"));
  }

  const unsubscribe = election.onChange(take);
  const current = election.term();
  if (current !== undefined) take(current);
  return {
    isLeading: () => election.term() !== undefined,
    async stop() {
      unsubscribe();
      take(undefined);
      await turn;
    },
  };
}
