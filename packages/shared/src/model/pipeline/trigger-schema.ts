/** The shape of a pipeline's triggers. What fields mean together is checked in trigger-check.ts. No message repeats what stands where a secret's place belongs. */
import { z } from "zod";
import { choice, expected, fields, flag, list, mapping } from "../../base/zod-issues.ts";
import { SECRET_ENV_PATTERN } from "../channel-schema.ts";
import { envName, labelName, line, rawText } from "../job-fields.ts";
import { misfireWindow, timerFields } from "../timer-schema.ts";
import { itemName, paramValue } from "./param-schema.ts";
import {
  CHAIN_ENDS,
  type ChainTrigger,
  GIT_EVENTS,
  type HookSecret,
  type HookTrigger,
  type TimerTrigger,
  type TriggerSpec,
} from "./trigger-spec.ts";

/** Longest pattern for the names of branches and tags. */
export const MAX_PATTERN = 300;

const rule = fields({
  timer: line("a timer", 500).describe(
    "Cron with 5 fields (minute first) or 6 (second first), @yearly … @hourly, @every 90s, @at 2027-01-01T00:00:00Z.",
  ),
  ...timerFields,
  misfire: choice(["once", "skip", "all"])
    .describe("Ticks that passed while no master led: once (default; one late run), skip or all.")
    .exactOptional(),
  misfireWindow,
}) satisfies z.ZodType<TimerTrigger>;

const error = () =>
  "is not where a secret is to be found\nwrite { file: NAME } or { env: FLEETCRON_SECRET_NAME }; the secret itself does not belong here";
const secret = z.union(
  [
    fields({
      file: z.string({ error }).min(1, { error }).max(1000, { error }).describe("A file of the masters' folder for secrets."),
    }),
    fields({
      env: z
        .string({ error })
        .regex(SECRET_ENV_PATTERN, { error: "is no variable that triggers may name\nits name begins with FLEETCRON_SECRET_" })
        .describe("A variable of the masters' environment; its name begins with FLEETCRON_SECRET_."),
    }),
  ],
  { error },
) satisfies z.ZodType<HookSecret>;

const patterns = list(line("a pattern", MAX_PATTERN), "patterns", { min: 1, max: 50 });
const hook = fields({
  secret: secret.describe("What the platform signs with, or sends as its token."),
  events: list(choice(GIT_EVENTS), "events", { min: 1, max: GIT_EVENTS.length }).describe("push, tag. Default: [push].").exactOptional(),
  branches: patterns
    .describe(
      'Pushes to these only: globs (* within a part of the name, ** across parts, ?), or regular expressions "/^…$/". Default: all.',
    )
    .exactOptional(),
  tags: patterns.describe("These tags only, in the same form. Default: all.").exactOptional(),
}) satisfies z.ZodType<HookTrigger>;

const chain = fields({
  after: z
    .string({ error: expected("a pipeline as group/id") })
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62}$/, { error: expected("a pipeline as group/id") })
    .describe("The other pipeline, group/id."),
  on: list(choice(CHAIN_ENDS), "ends", { min: 1, max: CHAIN_ENDS.length })
    .describe("succeeded, failed, cancelled. Default: [succeeded].")
    .exactOptional(),
}) satisfies z.ZodType<ChainTrigger>;

const trigger = fields({
  name: itemName.describe("Unique in the pipeline; part of the webhook's address."),
  rule: rule.describe("By the clock.").exactOptional(),
  gitlab: hook.describe("A webhook of GitLab.").exactOptional(),
  github: hook.describe("A webhook of GitHub, or of what signs like it.").exactOptional(),
  gitee: hook.describe("A webhook of Gitee.").exactOptional(),
  pipeline: chain.describe("The end of a run of another pipeline.").exactOptional(),
  params: mapping(envName, paramValue, "param names and values")
    .describe(`Values for declared params; \${name} stands for a fact of the event, such as \${commit}.`)
    .exactOptional(),
  labels: mapping(labelName, rawText("a label value", 300, 0), "label names and values")
    .describe(`Labels of the run; \${name} as in params.`)
    .exactOptional(),
  pause: flag().describe("true: it starts nothing.").exactOptional(),
}) satisfies z.ZodType<TriggerSpec>;

export const triggersSchema = list(trigger, "triggers", { min: 1, max: 50 });
