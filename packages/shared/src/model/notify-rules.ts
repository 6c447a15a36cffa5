/** Who is told about what: the `notify` rules of jobs and pipelines, their shape and what their fields mean together. */
import type { z } from "zod";
import { choice, fields, list, type ShapeIssue, wholeNumber } from "../base/zod-issues.ts";
import { ID_PATTERN, pattern } from "./job-fields.ts";

export const NOTIFY_EVENTS = ["success", "failure", "finalFailure", "recovery", "missed", "lost", "timeout", "slow", "every"] as const;
/** Of pipelines: `failure` and `finalFailure` are runs that have failed, `missed` a trigger that could not start one. */
export const PIPELINE_EVENTS = [
  "success",
  "failure",
  "finalFailure",
  "recovery",
  "cancelled",
  "taskFailed",
  "waiting",
  "missed",
  "every",
] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number] | (typeof PIPELINE_EVENTS)[number];

/** The events that make a streak of failures known to somebody, so that its end is a recovery for them. */
export const FAILURE_EVENTS: readonly NotifyEvent[] = ["failure", "finalFailure", "lost", "timeout"];

export type NotifyRule = {
  readonly on: readonly NotifyEvent[];
  /** `failure`: only from so many failed attempts in a row on; `finalFailure`: once, when so many final failures have come in a row. Default 1. */
  readonly after?: number;
  /** Names of channels. */
  readonly to: readonly string[];
  /** Ids of people as the channel's platform knows them. */
  readonly mention?: readonly string[];
};

export const channelName = pattern(
  "a channel name",
  ID_PATTERN,
  "1 to 63 of a-z, 0-9, dot, underscore, dash; begins with a letter or digit",
);

const personId = pattern("an id of somebody", /^[\w@.+:-]{1,200}$/, "as the channel's platform writes it, without <@ and >");

/** The schema of a list of rules about some of the events. */
function rulesAbout<const T extends readonly [NotifyEvent, ...NotifyEvent[]]>(events: T, words: string) {
  const rule = fields({
    on: list(choice(events), "events", { min: 1, max: events.length }).describe(words),
    after: wholeNumber(1, 1000).describe("Only when so many failures have come in a row. Default: 1.").exactOptional(),
    to: list(channelName, "channel names", { min: 1, max: 20 }).describe("Names of channels."),
    mention: list(personId, "ids", { max: 20 })
      .describe('Who is mentioned, by the ids of the channel\'s platform; "all" is everybody.')
      .exactOptional(),
  }) satisfies z.ZodType<NotifyRule>;
  return list(rule, "notify rules", { max: 20 });
}

/** The rules of jobs. */
export const notifyRules = rulesAbout(
  NOTIFY_EVENTS,
  "success · failure (each failed attempt) · finalFailure (no attempt is left; once per streak) · recovery (the first success after a failure that this rule has told of) · missed (a tick did not run) · lost · timeout · slow (more than twice the usual time) · every.",
);

/** The rules of pipelines. */
export const pipelineNotifyRules = rulesAbout(
  PIPELINE_EVENTS,
  "success · failure (each failed run) · finalFailure (once per streak of failed runs) · recovery (the first success after a failure that this rule has told of) · cancelled · taskFailed (no attempt is left) · waiting (somebody is to approve or confirm) · missed (a trigger did not start a run) · every.",
);

/** What is wrong with the rules' meaning; paths begin at the list. */
export function checkNotifyRules(rules: readonly NotifyRule[]): ShapeIssue[] {
  return rules.flatMap((one, index) =>
    one.after === undefined || one.on.some((event) => event === "failure" || event === "finalFailure")
      ? []
      : [
          {
            path: [index, "after"],
            message: "counts failures in a row, and the rule is for none",
            hint: "add finalFailure or failure to `on`, or remove it",
          },
        ],
  );
}
