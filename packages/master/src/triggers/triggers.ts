/**
 * What the leader does round runs beside advancing them: starts those of timers and of pipelines that follow others, and adds to each change of a run
 * who is to be told of it and who follows. Etcd away: as the parts say.
 */
import { isDeepStrictEqual } from "node:util";
import { toIso } from "fleetcron-shared/base/clock";
import type { Failing } from "fleetcron-shared/model/facts";
import { isRunEnd } from "fleetcron-shared/model/pipeline/run-document";
import { absent, type Compare, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { openView } from "fleetcron-shared/store/view";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { LeaderDeps, LeaderService } from "../leader/leader-deps.ts";
import type { RunAddition, RunChange } from "../pipelines/advance-txn.ts";
import { endOps, startChains } from "./chains.ts";
import { noticesOfChange } from "./run-notices.ts";
import { startTimers } from "./timers.ts";

/** The value of `streaks/<group>/<pipeline>`: there while its last run has failed and rules go by that. */
type Streak = { readonly v: 1; readonly failing: Failing };

export type Triggers = LeaderService & {
  /** What goes into the transaction of a change. */
  alsoOf(change: RunChange): Promise<RunAddition>;
};

export function startTriggers(deps: LeaderDeps, options: { readonly timezone: string }): Triggers {
  const { keys, views, clock } = deps;
  const streaks = openView<{ readonly failing: Failing; readonly revision: Revision }>(deps, {
    prefix: keys.streaks,
    decode: (kv) => ({ failing: decode<Streak>(kv.key, kv.value).failing, revision: kv.modRevision }),
  });
  streaks.synced.catch(() => {});
  const services = [startTimers(deps, options), startChains(deps)];

  return {
    async alsoOf(change) {
      const { group, pipeline } = change.after;
      const rules = views.pipelines.get(keys.pipeline(group, pipeline))?.stored.spec.notify ?? [];
      const key = keys.streak(group, pipeline);
      await streaks.synced;
      const held = streaks.get(key);
      const told = noticesOfChange(rules, change, held?.failing, toIso(clock.now()));
      // Failures count only where somebody goes by them.
      const failing = rules.length === 0 && isRunEnd(change.after.state) ? undefined : told.failing;
      const then: Op[] = told.notices.map((notice) => ({ op: "put", key: keys.notice(notice.id), value: encode(notice) }));
      const compares: Compare[] = [];
      if (!isDeepStrictEqual(failing, held?.failing)) {
        compares.push(held === undefined ? absent(key) : unchanged(key, held.revision));
        then.push(failing === undefined ? { op: "delete", key } : { op: "put", key, value: encode<Streak>({ v: 1, failing }) });
      }
      return { if: compares, then: [...then, ...endOps(deps, change)] };
    },
    async stop() {
      await Promise.all([...services.map((service) => service.stop()), streaks.close()]);
    },
  };
}
