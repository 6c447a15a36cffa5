/** A pipeline's triggers for people: where webhooks are delivered to, when timers are due. */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { StoredPipeline } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { hookOf, TRIGGER_DEFAULTS, type TriggerSpec, triggerKind } from "fleetcron-shared/model/pipeline/trigger-spec";
import { timesOf } from "fleetcron-shared/model/pipeline/trigger-timer";
import type { API_BASE } from "../http/api-schema.ts";
import type { TriggerView } from "../http/pipeline-schema.ts";

/** How many next ticks of each timer are shown. */
const SHOWN_TICKS = 5;
const BASE: typeof API_BASE = "/api/v1";

export function triggerViews(
  pipeline: Pick<StoredPipeline, "group" | "id" | "createdAt" | "spec">,
  at: { nowMs: EpochMs; timezone: string },
): TriggerView[] {
  const { group, id, createdAt, spec } = pipeline;
  return (spec.triggers ?? []).map((trigger): TriggerView => {
    const { name, rule } = trigger;
    const common = { name, kind: triggerKind(trigger), ...(trigger.pause === true ? { paused: true as const } : {}) };
    if (rule !== undefined) {
      const times = timesOf(rule, { seed: `${group}/${id}`, anchorMs: fromIso(createdAt) ?? 0, timezone: at.timezone });
      const next: string[] = [];
      for (let tick = times.nextAfter(at.nowMs); tick !== undefined && next.length < SHOWN_TICKS; tick = times.nextAfter(tick))
        next.push(toIso(tick));
      return { ...common, words: times.words, next };
    }
    const hook = hookOf(trigger) === undefined ? {} : { hook: `${BASE}/hooks/${group}/${id}/${name}` };
    return { ...common, words: wordsOf(trigger), ...hook };
  });
}

function wordsOf(trigger: TriggerSpec): string {
  const held = hookOf(trigger);
  if (held === undefined) return `${(trigger.pipeline?.on ?? TRIGGER_DEFAULTS.on).join(" or ")}: ${trigger.pipeline?.after ?? ""}`;
  const { events = TRIGGER_DEFAULTS.events, branches = ["all"], tags = ["all"] } = held.hook;
  const parts = events.map((event) => (event === "push" ? `push to ${branches.join(", ")}` : `tag ${tags.join(", ")}`));
  return parts.join("; ");
}
