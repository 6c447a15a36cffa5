/** The notice that a trigger did not start a run although it should have. */
import { toIso } from "fleetcron-shared/base/clock";
import type { NoticeData } from "fleetcron-shared/model/notice";
import type { StoredPipeline } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { type TriggerSpec, triggerLabel } from "fleetcron-shared/model/pipeline/trigger-spec";
import type { Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { toKey } from "../job-ref.ts";
import type { LeaderDeps } from "../leader/leader-deps.ts";
import { noticesOf } from "../notify/notices.ts";
import { cut } from "../notify/words.ts";

/** `id`: of the run that should have been. Empty when nobody is to be told. */
export function missedOps(
  { keys, clock }: Pick<LeaderDeps, "keys" | "clock">,
  pipeline: StoredPipeline,
  about: { readonly id: string; readonly trigger: TriggerSpec; readonly why: string; readonly data: NoticeData },
): Op[] {
  const { group, id, spec } = pipeline;
  const title = `${toKey(pipeline)} was not started by its trigger ${about.trigger.name}: ${about.why}`;
  const { notice } = noticesOf(spec.notify ?? [], { also: ["missed"], result: "none" }, undefined, {
    id: `${about.id}.missed`,
    at: toIso(clock.now()),
    subject: { kind: "pipeline", group, id, name: spec.name ?? id },
    data: { trigger: triggerLabel(about.trigger), message: cut(about.why, 500), ...about.data },
    title: () => cut(title, 300),
  });
  return notice === undefined ? [] : [{ op: "put", key: keys.notice(notice.id), value: encode(notice) }];
}
