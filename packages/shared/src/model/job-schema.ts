/**
 * The shape of a job: every field with its kind, bounds and description (the descriptions feed the JSON Schema for editors). The types are
 * written by hand in job-spec.ts and held together with the schema by the compiler. What fields mean together is checked in job-check.ts.
 */
import type { z } from "zod";
import { choice, fields, flag, list, mapping, wholeNumber } from "../base/zod-issues.ts";
import {
  absolutePath,
  durationField,
  envName,
  labelCondition,
  labelName,
  labelValue,
  line,
  nodeId,
  octal,
  paragraphs,
  rawText,
  regexText,
  ruleId,
  secretSource,
  share,
  sizeField,
  userName,
} from "./job-fields.ts";
import type { CommandSpec, JobSpec, RetrySpec, RuleSpec, TargetSpec } from "./job-spec.ts";
import { notifyRules } from "./notify-rules.ts";
import { jobParams } from "./pipeline/param-schema.ts";
import { httpSchema } from "./runners/http-schema.ts";
import { kubernetesSchema } from "./runners/kubernetes-schema.ts";
import { sshSchema } from "./runners/ssh-schema.ts";
import { misfireWindow, timerFields } from "./timer-schema.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
/** Longest script, argument, input or variable. */
const MAX_TEXT = 48 * 1024;

/** Which nodes. */
export const targetSchema = fields({
  nodes: list(nodeId, "node ids").describe("Exact node ids. With labels too, both must hold.").exactOptional(),
  labels: mapping(labelName, labelCondition, "label names and conditions")
    .describe('Conditions on labels, all of which must hold: value, "!=value", [one, of, these], "*" (has the label), "!*" (has it not).')
    .exactOptional(),
  exclude: list(nodeId, "node ids").describe("Exact ids of nodes that are left out.").exactOptional(),
  prefer: list(nodeId, "node ids")
    .describe("Exact ids of the nodes that are asked first, in this order (interval and alone).")
    .exactOptional(),
}) satisfies z.ZodType<TargetSpec>;

const rule = fields({
  id: ruleId.describe("Name of the rule, unique in the job. Default: r1, r2 … by position.").exactOptional(),
  mode: choice(["cycle", "manyonce", "onlyonce"]).describe(
    "cycle: by the timer. manyonce: once at each submit and each `job run`. onlyonce: on each node until it has succeeded there once.",
  ),
  timer: line("a timer", 500)
    .describe(
      "Cron with 5 fields (minute first) or 6 (second first), @yearly … @hourly, @every 90s, @at 2027-01-01T00:00:00Z, @startup. Only with mode cycle.",
    )
    .exactOptional(),
  timezone: timerFields.timezone,
  target: targetSchema.describe("Which nodes. Default: all.").exactOptional(),
  from: timerFields.from,
  until: timerFields.until,
  jitter: durationField(0, DAY)
    .describe("Ticks are spread over this time, the same way each time per job and node. Default: 0.")
    .exactOptional(),
  dstGap: timerFields.dstGap,
  dstFold: timerFields.dstFold,
}) satisfies z.ZodType<RuleSpec>;

const command = fields({
  script: rawText("a script", MAX_TEXT)
    .describe("Given to the shell; may have many lines. Exactly one of script and argv.")
    .exactOptional(),
  argv: list(rawText("an argument", MAX_TEXT, 0), "arguments", { min: 1 })
    .describe("Program and arguments, without a shell.")
    .exactOptional(),
  shell: list(rawText("an argument", 4096), "arguments", { min: 1, max: 20 })
    .describe('Runs the script. Default: ["/bin/sh", "-c"].')
    .exactOptional(),
  cwd: absolutePath.describe("Working directory.").exactOptional(),
  user: userName.describe("Runs as this user; the agent must be root.").exactOptional(),
  group: userName.describe("Runs with this group. Default: the user's.").exactOptional(),
  stdin: rawText("text", MAX_TEXT, 0).describe("Standard input. Default: empty.").exactOptional(),
  umask: octal.describe('Octal, in quotes, such as "027".').exactOptional(),
  nice: wholeNumber(-20, 19).describe("Scheduling priority: 19 is the most modest.").exactOptional(),
  limits: fields({
    nofile: wholeNumber(8, 2 ** 20)
      .describe("Open files of each process.")
      .exactOptional(),
    memory: sizeField(2 ** 20, 2 ** 50)
      .describe(
        "Memory: of the whole tree where the agent may use cgroups with a memory controller (beyond it: `oom`), else the address space of each process.",
      )
      .exactOptional(),
    cpu: durationField(1000, 365 * DAY)
      .describe("Cpu time of each process; beyond it SIGXCPU, and SIGKILL 5 s of cpu time later.")
      .exactOptional(),
  })
    .describe("What the command may use. Default: as the agent.")
    .exactOptional(),
}) satisfies z.ZodType<CommandSpec>;

const retry = fields({
  limit: wholeNumber(0, 100).describe("Extra attempts after the first."),
  delay: durationField(0, DAY).describe("Before the next attempt. Default: 10s.").exactOptional(),
  backoff: choice(["fixed", "exponential"]).describe("Exponential doubles the delay each time. Default: fixed.").exactOptional(),
  maxDelay: durationField(0, 7 * DAY)
    .describe("Bound of the exponential delay. Default: 1h.")
    .exactOptional(),
  jitter: share.describe("Share of the delay that is random, 0 to 1. Default: 0.").exactOptional(),
}) satisfies z.ZodType<RetrySpec>;

/** The schema of a job as it stands in a file, in REST and in etcd. */
export const jobSchema = fields({
  name: line("a name", 200).describe("For people.").exactOptional(),
  description: paragraphs("a description", 4000).describe("For people.").exactOptional(),
  labels: mapping(labelName, labelValue, "label names and values").describe("For search: `job ls -l role=db`.").exactOptional(),
  owner: line("an owner", 200).describe("Who answers for the job.").exactOptional(),
  eventId: line("an event id", 200).describe("Ties log lines and records to an outside event.").exactOptional(),
  run: fields({
    command: command.describe("A process on the node.").exactOptional(),
    ssh: sshSchema.describe("A command on hosts without an agent, over SSH from the node.").exactOptional(),
    http: httpSchema.describe("An HTTP call from the node.").exactOptional(),
    kubernetes: kubernetesSchema.describe("A Kubernetes Job, or a rollout, followed from the node.").exactOptional(),
  }).describe("What to run: exactly one of command, ssh, http and kubernetes."),
  rules: list(rule, "rules", { min: 1, max: 50 }).describe("When and where: one or more rules."),
  kind: choice(["common", "alone", "interval"])
    .describe("common (default): on each matching node. interval: each tick once in the cluster. alone: at most on one node at any moment.")
    .exactOptional(),
  overlap: choice(["skip", "queue", "replace", "allow"])
    .describe("The previous execution is still active: skip (default), queue one, replace it, or allow both (common only).")
    .exactOptional(),
  parallel: wholeNumber(1, 1000)
    .describe("Most simultaneous executions per node; more than 1 only with overlap: allow. Default: 1.")
    .exactOptional(),
  misfire: choice(["once", "skip", "all"])
    .describe("Ticks that passed while no agent could fire them: once (default; one late run), skip or all.")
    .exactOptional(),
  misfireWindow,
  onIsolation: choice(["run", "hold"])
    .describe("etcd is out of reach: run (default of common) or hold (the only choice of interval and alone).")
    .exactOptional(),
  holdFor: durationField(0, DAY).describe("How long a held tick waits for etcd. Default: 30s.").exactOptional(),
  onNodeLost: choice(["fail", "rerun"])
    .describe("The node vanished during an execution: fail (default), or rerun elsewhere (interval and alone).")
    .exactOptional(),
  timeout: durationField(0, YEAR).describe("Of one attempt; 0 (default) is none.").exactOptional(),
  killGrace: durationField(0, HOUR).describe("From SIGTERM to SIGKILL. Default: 10s.").exactOptional(),
  retry: retry.describe("Further attempts after a failed one.").exactOptional(),
  pause: flag().describe("true: no ticks fire; `job run` still works.").exactOptional(),
  env: mapping(envName, rawText("text", MAX_TEXT, 0), "variable names and values")
    .describe("Environment variables.")
    .exactOptional(),
  params: jobParams.describe("Parameters that orders and pipelines can set.").exactOptional(),
  secrets: mapping(envName, secretSource, "variable names and sources")
    .describe("Environment variables whose values are not shown anywhere; each names a source: docs/secrets.md.")
    .exactOptional(),
  success: fields({
    exitCodes: list(wholeNumber(0, 255), "exit codes", { min: 1, max: 256 }).describe("Default: [0].").exactOptional(),
    output: regexText.describe("A regular expression that the end of the output must match too.").exactOptional(),
  })
    .describe("What counts as success.")
    .exactOptional(),
  resultFrom: choice(["file", "stderr"])
    .describe("Where the command writes its result: to the file named by $FLEETCRON_RESULT (default), or to stderr, as JSON.")
    .exactOptional(),
  retain: fields({
    count: wholeNumber(1, 10_000).describe("Newest records that are kept. Default: 100.").exactOptional(),
    age: durationField(60_000, 10 * YEAR)
      .describe("Records older than this are removed. Default: 7d.")
      .exactOptional(),
  })
    .describe("How many records are kept.")
    .exactOptional(),
  log: fields({
    maxBytes: sizeField(1024, 2 ** 40)
      .describe("Most that is kept of an execution's output, on the node: its beginning and its end (docs/logs.md). Default: 64MiB.")
      .exactOptional(),
    tailBytes: sizeField(0, 16 * 1024)
      .describe("End of the output that the record carries. Default: 8KiB.")
      .exactOptional(),
  })
    .describe("How much output is kept.")
    .exactOptional(),
  notify: notifyRules.describe("Who is told about what (notifications.md).").exactOptional(),
}) satisfies z.ZodType<JobSpec>;
