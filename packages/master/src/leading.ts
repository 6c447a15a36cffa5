/** What a master does beside serving: it stands for election, and runs the leader's services while it leads. Etcd away: nobody leads. */
import type { LeaderInfo } from "fleetcron-shared/model/facts";
import { openElection } from "fleetcron-shared/store/election";
import type { Session } from "fleetcron-shared/store/session";
import { encode } from "fleetcron-shared/wire/codec";
import { followElection, type Leader } from "./leader/leader.ts";
import type { LeaderDeps } from "./leader/leader-deps.ts";
import type { Sender } from "./notify/sender.ts";
import { startPipelines } from "./pipelines/engine.ts";
import { startTriggers } from "./triggers/triggers.ts";

export type LeadingDeps = Omit<LeaderDeps, "term"> & { readonly session: Session; readonly send: Sender };
export type LeadingOptions = {
  readonly lostAfterMs: number;
  /** Default: a minute. */
  readonly missedAfterMs?: number;
  readonly auditRetentionMs: number;
  readonly timezone: string;
};

const MISSED_AFTER_MS = 60_000;

/** `stop` gives leadership up. */
export function startLeading(deps: LeadingDeps, options: LeadingOptions, self: LeaderInfo): Leader {
  const election = openElection(deps, { key: deps.keys.leader, value: encode(self), session: deps.session });
  const leader = followElection({ ...deps, election }, { ...options, missedAfterMs: options.missedAfterMs ?? MISSED_AFTER_MS }, (own) => {
    const triggers = startTriggers(own, options);
    return [triggers, startPipelines(own, { lostAfterMs: options.lostAfterMs, alsoOf: triggers.alsoOf })];
  });
  return {
    isLeading: leader.isLeading,
    async stop() {
      await election.close();
      await leader.stop();
    },
  };
}
