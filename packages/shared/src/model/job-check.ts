/** What the fields of a well-shaped job mean together: everything that would make it fail or never run, found before it is stored. Pure. */
import { type EpochMs, fromIso, toIso } from "../base/clock.ts";
import { formatDuration, parseDuration } from "../base/duration.ts";
import { AppError, type Issue } from "../base/errors.ts";
import { formatSize } from "../base/size.ts";
import { checkShape, found, type ShapeIssue, toIssue } from "../base/zod-issues.ts";
import { compileSchedule, type Schedule } from "./calendar/schedule.ts";
import { zoneOf } from "./calendar/zones.ts";
import { JOB_DEFAULTS, ruleIdAt } from "./job-compile.ts";
import { ID_PATTERN } from "./job-fields.ts";
import { jobSchema } from "./job-schema.ts";
import type { CommandSpec, JobSpec, RuleSpec } from "./job-spec.ts";
import { checkNotifyRules } from "./notify-rules.ts";
import { checkParams } from "./pipeline/param-schema.ts";
import { checkHttp } from "./runners/http-check.ts";
import { checkKubernetes } from "./runners/kubernetes-check.ts";
import { checkSsh } from "./runners/ssh-check.ts";
import { mayUseSecret, SHARED_GROUP, secretRef } from "./secret.ts";

/** A job as JSON may not be larger: values in etcd stay under 64 KiB, and the master adds the nodes that share a job to what it sends them. */
export const MAX_SPEC_BYTES = 56 * 1024;

const PREVIEWED_TICKS = 5;

/** Everything that is wrong with the meaning of a well-shaped spec; empty = it can be stored. `nowMs` decides which `@at` is past. */
export function checkJob(group: string, id: string, spec: JobSpec, nowMs: EpochMs): Issue[] {
  return [...checkIdentity(group, id), ...checkMeaning(group, id, spec, nowMs)].map((issue) => toIssue(issue, ["jobs", `${group}/${id}`]));
}

/** An unknown value as a spec, shape and meaning checked; throws `input/invalid` with all issues. For values that come from no file. */
export function parseJobSpec(group: string, id: string, value: unknown, nowMs: EpochMs): JobSpec {
  const shape = checkShape<JobSpec>(jobSchema, value);
  const issues =
    shape.issues === undefined
      ? checkJob(group, id, shape.value, nowMs)
      : [...checkIdentity(group, id), ...shape.issues].map((issue) => toIssue(issue, ["jobs", `${group}/${id}`]));
  if (shape.issues === undefined && issues.length === 0) return shape.value;
  throw new AppError("input/invalid", `the job ${group}/${id} is not accepted`, { issues });
}

/** Whether `group` and `id` may name a job. */
export function checkIdentity(group: string, id: string, noun = "job"): ShapeIssue[] {
  const wrong = (
    [
      ["group", group],
      ["id", id],
    ] as const
  ).filter(([, text]) => !ID_PATTERN.test(text));
  const form = "1 to 63 of a-z, 0-9, dot, underscore, dash; begins with a letter or digit";
  return wrong.map(([part, text]) => ({
    path: [],
    message: `${found(text)} as the ${part} of a ${noun}; it is not of the allowed form`,
    hint: form,
  }));
}

/** The checks of `checkJob` without the identity; paths begin inside the spec. */
export function checkMeaning(group: string, id: string, spec: JobSpec, nowMs: EpochMs): ShapeIssue[] {
  const bytes = Buffer.byteLength(JSON.stringify(spec));
  const issues = [...checkKind(spec), ...checkTimes(spec), ...checkRun(spec), ...checkSecrets(group, spec)];
  for (const issue of checkJobParams(spec)) issues.push({ ...issue, path: ["params", ...issue.path] });
  for (const issue of checkNotifyRules(spec.notify ?? [])) issues.push({ ...issue, path: ["notify", ...issue.path] });
  if (bytes > MAX_SPEC_BYTES) {
    const message = `the job takes ${(bytes / 1024).toFixed(1)} KiB as JSON; at most ${formatSize(MAX_SPEC_BYTES)} are stored`;
    issues.push({ path: [], message, hint: "put long scripts and input into files on the nodes" });
  }
  const ids = spec.rules.map(ruleIdAt);
  for (const [index, rule] of spec.rules.entries()) {
    const first = ids.indexOf(ids[index] ?? "");
    const at = (issue: ShapeIssue): ShapeIssue => ({ ...issue, path: ["rules", index, ...issue.path] });
    if (first < index)
      issues.push(
        at({
          path: ["id"],
          message: `rule id "${ids[index]}" is taken by rules[${first}]`,
          hint: "rules without an id are r1, r2 … by position",
        }),
      );
    issues.push(...checkRule(`${group}/${id}`, rule, spec, nowMs).map(at));
  }
  return issues;
}

function checkKind(spec: JobSpec): ShapeIssue[] {
  const kind = spec.kind ?? JOB_DEFAULTS.kind;
  const issues: ShapeIssue[] = [];
  const refuse = (field: string, message: string, hint: string) => issues.push({ path: [field], message, hint });
  if (kind !== "common") {
    if (spec.overlap === "allow")
      refuse("overlap", `"allow" is only for kind common, and this job is ${kind}`, "use skip, queue or replace");
    if (spec.onIsolation === "run")
      refuse(
        "onIsolation",
        `a job of kind ${kind} cannot run without etcd, which keeps it from running twice`,
        "use hold, or kind: common",
      );
  } else if (spec.onNodeLost === "rerun") {
    refuse(
      "onNodeLost",
      '"rerun" is only for kinds interval and alone: a common job runs on every node anyway',
      "use fail, or another kind",
    );
  }
  if ((spec.parallel ?? 1) > 1 && spec.overlap !== "allow") {
    refuse("parallel", `${spec.parallel} executions at once need overlap: allow`, `overlap is ${spec.overlap ?? JOB_DEFAULTS.overlap}`);
  }
  return issues;
}

function checkTimes(spec: JobSpec): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  const window = duration(spec.misfireWindow) ?? JOB_DEFAULTS.misfireWindowMs;
  if ((duration(spec.holdFor) ?? 0) > window) {
    issues.push({
      path: ["holdFor"],
      message: `${spec.holdFor} is longer than misfireWindow, ${formatDuration(window)}`,
      hint: "a tick older than that is missed",
    });
  }
  const { delay, maxDelay } = spec.retry ?? {};
  if ((duration(delay) ?? 0) > (duration(maxDelay) ?? Number.POSITIVE_INFINITY)) {
    issues.push({ path: ["retry", "maxDelay"], message: `${maxDelay} is shorter than delay, ${delay}` });
  }
  return issues;
}

function checkRun(spec: JobSpec): ShapeIssue[] {
  const { command, ssh, http, kubernetes } = spec.run;
  const given = Object.keys(spec.run);
  if (given.length !== 1) {
    const message = given.length === 0 ? "says nothing of what to run" : `${given.join(" and ")} are given`;
    return [{ path: ["run"], message: `${message}; exactly one is needed`, hint: "command, ssh, http or kubernetes" }];
  }
  const secrets = Object.keys(spec.secrets ?? {});
  const at = (issue: ShapeIssue): ShapeIssue => ({ ...issue, path: ["run", ...given, ...issue.path] });
  if (command !== undefined) return checkCommand(command);
  if (ssh !== undefined) return checkSsh(ssh, secrets).map(at);
  return [...(http === undefined ? [] : checkHttp(http, secrets)), ...(kubernetes === undefined ? [] : checkKubernetes(kubernetes))]
    .map(at)
    .concat(checkCallOnly(spec));
}

/** What only a command's end and output can mean. */
function checkCallOnly({ run, success, resultFrom }: JobSpec): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  if (run.http !== undefined && success?.exitCodes !== undefined)
    issues.push({ path: ["success", "exitCodes"], message: "an HTTP call has no exit code", hint: "use run.http.expectStatus" });
  if (resultFrom !== undefined)
    issues.push({ path: ["resultFrom"], message: "only a command, on the node or over ssh, hands back a result" });
  return issues;
}

function checkCommand(command: CommandSpec): ShapeIssue[] {
  const path = ["run", "command"];
  const { script, argv, shell } = command;
  const issues: ShapeIssue[] = [];
  if ((script === undefined) === (argv === undefined)) {
    issues.push({
      path,
      message: `${script === undefined ? "neither script nor argv is" : "both script and argv are"} given; exactly one is needed`,
    });
  }
  if (script !== undefined && script.trim() === "") issues.push({ path: [...path, "script"], message: "the script is blank" });
  if (argv?.[0] === "") issues.push({ path: [...path, "argv", 0], message: "the program's name is empty" });
  if (argv !== undefined && script === undefined && shell !== undefined) {
    issues.push({ path: [...path, "shell"], message: "argv is run without a shell", hint: "remove shell, or use script" });
  }
  return issues;
}

function checkJobParams(spec: JobSpec): ShapeIssue[] {
  const params = spec.params ?? [];
  const valueless = params.findIndex((param) => param.required === true && (param.value ?? "") === "");
  if (valueless < 0 || spec.rules.length === 0 || spec.pause === true) return checkParams(params);
  const message = `"${params[valueless]?.name}" is required and has no value, so the job's own rules could never run`;
  return [...checkParams(params), { path: [valueless], message, hint: "give it a value, or pause the job: pipelines run it all the same" }];
}

function checkSecrets(group: string, spec: JobSpec): ShapeIssue[] {
  return Object.entries(spec.secrets ?? {}).flatMap(([name, source]): ShapeIssue[] => {
    const path = ["secrets", name];
    if (Object.keys(source).length !== 1)
      return [{ path, message: "exactly one source is needed", hint: "{ file: /path }, { env: NAME } or { secret: group/name }" }];
    if (Object.hasOwn(spec.env ?? {}, name)) return [{ path, message: `${name} is in env too`, hint: "remove it from env" }];
    if (source.env?.startsWith("FLEETCRON_"))
      return [{ path: [...path, "env"], message: "the agent's own settings are not given to jobs", hint: "use another variable" }];
    if (source.secret === undefined || mayUseSecret(secretRef(source.secret, group), group)) return [];
    const hint = `move it to the group ${group}, or to ${SHARED_GROUP}, whose secrets every job may use`;
    return [{ path: [...path, "secret"], message: `a job of the group ${group} may not use a secret of another group`, hint }];
  });
}

function checkRule(seed: string, rule: RuleSpec, spec: JobSpec, nowMs: EpochMs): ShapeIssue[] {
  const { target, timezone, from, until } = rule;
  const issues: ShapeIssue[] = [];
  const refuse = (field: string, message: string, hint?: string) =>
    issues.push({ path: [field], message, ...(hint === undefined ? {} : { hint }) });
  if (target?.nodes !== undefined && target.nodes.length > 0 && target.nodes.every((node) => target.exclude?.includes(node))) {
    issues.push({ path: ["target", "exclude"], message: "every node of target.nodes is excluded, so the rule never runs" });
  }
  if (from !== undefined && until !== undefined && instant(from) >= instant(until))
    refuse("until", `${until} is not later than from, ${from}`);
  const zoneIssues = timezone === undefined ? [] : refusal("timezone", () => zoneOf(timezone));
  if (rule.mode !== "cycle") {
    if (rule.timer !== undefined) refuse("timer", `mode ${rule.mode} has no timer`, "use mode cycle, or remove the timer");
    return [...issues, ...zoneIssues];
  }
  if (rule.timer === undefined) refuse("timer", "is missing; mode cycle needs one", 'such as "0 3 * * *" or "@every 90s"');
  if (rule.timer === undefined || zoneIssues.length > 0) return [...issues, ...zoneIssues];
  return [...issues, ...checkTimer(seed, { ...rule, timer: rule.timer }, spec, nowMs)];
}

function checkTimer(seed: string, rule: RuleSpec & { timer: string }, spec: JobSpec, nowMs: EpochMs): ShapeIssue[] {
  const { timer, timezone = "UTC", from, until, dstGap, dstFold } = rule;
  let schedule: Schedule | undefined;
  const issues = refusal("timer", () => {
    schedule = compileSchedule({ timer, timezone, hashSeed: seed, anchorMs: nowMs, dstGap, dstFold });
  });
  if (schedule === undefined || schedule.kind === "startup") return issues;
  const first = schedule.nextAfter(nowMs);
  if (first === undefined) {
    const hint = schedule.kind === "at" ? `it is ${toIso(nowMs)} now; to run at once, use mode manyonce` : "";
    return [{ path: ["timer"], message: `"${timer}" has no tick after now`, ...(hint === "" ? {} : { hint }) }];
  }
  if (
    schedule.kind === "cron" &&
    from !== undefined &&
    until !== undefined &&
    (schedule.nextAfter(instant(from) - 1) ?? Number.POSITIVE_INFINITY) > instant(until)
  ) {
    if (instant(from) < instant(until)) issues.push({ path: ["until"], message: `"${timer}" has no tick between from and until` });
  }
  return [...issues, ...checkJitter(rule, schedule, spec, first)];
}

/** A jitter longer than the time to the next tick would let ticks overtake each other; longer than the misfire window, it would make them miss. */
function checkJitter(rule: RuleSpec, schedule: Schedule, spec: JobSpec, first: EpochMs): ShapeIssue[] {
  const jitter = duration(rule.jitter) ?? 0;
  if (jitter === 0) return [];
  const window = duration(spec.misfireWindow) ?? JOB_DEFAULTS.misfireWindowMs;
  let gap = Number.POSITIVE_INFINITY;
  for (let i = 1, tick = first; i < PREVIEWED_TICKS; i++) {
    const next = schedule.nextAfter(tick);
    if (next === undefined) break;
    gap = Math.min(gap, next - tick);
    tick = next;
  }
  const limit = Math.min(gap, window);
  if (jitter < limit) return [];
  const what = gap <= window ? "the time between two ticks" : "misfireWindow";
  return [{ path: ["jitter"], message: `${rule.jitter} is not shorter than ${what}, ${formatDuration(limit)}` }];
}

/** The issues of an AppError that `check` throws, as issues of `field`. */
function refusal(field: string, check: () => unknown): ShapeIssue[] {
  try {
    check();
    return [];
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const { message, hint } = thrown;
    return [{ path: [field], message, ...(hint === undefined ? {} : { hint }) }];
  }
}

function duration(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function instant(text: string): EpochMs {
  return fromIso(text) ?? Number.NaN;
}
