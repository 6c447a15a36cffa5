/** What the triggers of a well-shaped pipeline mean: everything that would keep one from ever starting a run, found before it is stored. Pure. */
import { type EpochMs, fromIso, toIso } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { suggestHint } from "../../base/suggest.ts";
import type { PathPart } from "../../base/yaml-source.ts";
import { found, type ShapeIssue } from "../../base/zod-issues.ts";
import { zoneOf } from "../calendar/zones.ts";
import { render, wrongValue } from "./params.ts";
import type { ParamSpec, PipelineSpec } from "./pipeline-spec.ts";
import { patternToRegExp } from "./trigger-match.ts";
import { type HookTrigger, hookOf, TRIGGER_DEFAULTS, TRIGGER_FACTS, TRIGGER_KINDS, type TriggerSpec, triggerKind } from "./trigger-spec.ts";
import { timesOf } from "./trigger-timer.ts";

type Refuse = (path: readonly PathPart[], message: string, hint?: string) => void;

/** Issues with the triggers of the pipeline; paths begin inside it. */
export function checkTriggers(group: string, id: string, spec: Pick<PipelineSpec, "triggers" | "params">): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  for (const [index, trigger] of (spec.triggers ?? []).entries()) {
    const refuse: Refuse = (path, message, hint) =>
      issues.push({ path: ["triggers", index, ...path], message, ...(hint === undefined ? {} : { hint }) });
    const first = (spec.triggers ?? []).findIndex(({ name }) => name === trigger.name);
    if (first < index) refuse(["name"], `there is another trigger "${trigger.name}" above`, "names are unique in the pipeline");
    const kinds = TRIGGER_KINDS.filter((kind) => trigger[kind] !== undefined);
    if (kinds.length !== 1) {
      const message = kinds.length === 0 ? "says not what starts the pipeline" : `is ${kinds.join(" and ")} at once`;
      refuse([], message, `exactly one of ${TRIGGER_KINDS.join(", ")} is needed`);
      continue;
    }
    if (trigger.rule !== undefined) checkRule(`${group}/${id}`, trigger.rule, refuse);
    const held = hookOf(trigger);
    if (held !== undefined) checkHook(held.kind, held.hook, refuse);
    if (trigger.pipeline?.after === `${group}/${id}`)
      refuse(["pipeline", "after"], "the pipeline would follow itself without end", "`retry` of a task begins a failed one again");
    checkValues(trigger, spec.params ?? [], refuse);
  }
  return issues;
}

/** Timers of the pipeline that have no tick after `nowMs`; paths begin inside the pipeline. */
export function checkNeverDue(group: string, id: string, spec: Pick<PipelineSpec, "triggers">, nowMs: EpochMs): ShapeIssue[] {
  return (spec.triggers ?? []).flatMap(({ rule }, index): ShapeIssue[] => {
    if (rule === undefined) return [];
    const times = timesOf(rule, { seed: `${group}/${id}`, anchorMs: nowMs, timezone: "UTC" });
    if (times.nextAfter(nowMs) !== undefined) return [];
    const message = `"${rule.timer}" has no tick after now, ${toIso(nowMs)}`;
    return [{ path: ["triggers", index, "rule", "timer"], message }];
  });
}

function checkRule(seed: string, rule: NonNullable<TriggerSpec["rule"]>, refuse: Refuse): void {
  const { timezone, from, until } = rule;
  if (from !== undefined && until !== undefined && (fromIso(from) ?? 0) >= (fromIso(until) ?? 0))
    refuse(["rule", "until"], `${until} is not later than from, ${from}`);
  if (timezone !== undefined && !accepted("timezone", () => zoneOf(timezone), refuse)) return;
  accepted(
    "timer",
    () => {
      const { kind } = timesOf(rule, { seed, anchorMs: 0, timezone: "UTC" });
      if (kind !== "startup") return;
      throw new AppError("input/invalid", "@startup is for jobs: it is a node that starts", {
        hint: 'such as "0 3 * * *" or "@every 90s"',
      });
    },
    refuse,
  );
}

function accepted(field: string, check: () => unknown, refuse: Refuse): boolean {
  try {
    check();
    return true;
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    refuse(["rule", field], thrown.message, thrown.hint);
    return false;
  }
}

function checkHook(kind: string, hook: HookTrigger, refuse: Refuse): void {
  const events: readonly string[] = hook.events ?? TRIGGER_DEFAULTS.events;
  for (const [field, event] of [
    ["branches", "push"],
    ["tags", "tag"],
  ] as const) {
    if (hook[field] !== undefined && !events.includes(event))
      refuse(
        [kind, field],
        `are for the event ${event}, which is not among the events`,
        `add it: events: [${[...events, event].join(", ")}]`,
      );
    for (const [index, pattern] of (hook[field] ?? []).entries()) {
      try {
        patternToRegExp(pattern);
      } catch {
        refuse([kind, field, index], `${found(pattern)}; this is not a valid regular expression`, "without the slashes it is a glob");
      }
    }
  }
}

function checkValues(trigger: TriggerSpec, declared: readonly ParamSpec[], refuse: Refuse): void {
  const kind = triggerKind(trigger);
  // What else a run of another pipeline brings, its params and outputs, shows when it ends.
  const facts: readonly string[] | undefined = kind === "pipeline" ? undefined : TRIGGER_FACTS[kind === "rule" ? "rule" : "git"];
  const known = Object.fromEntries((facts ?? []).map((name) => [name, ""]));
  const checkFacts = (path: readonly PathPart[], text: string) => {
    for (const name of facts === undefined ? [] : render(text, known).missing)
      refuse(path, `\${${name}} is no fact of such an event`, suggestHint(name, facts ?? []));
  };
  for (const [name, value] of Object.entries(trigger.params ?? {})) {
    const path = ["params", name];
    const param = declared.find((one) => one.name === name);
    if (param === undefined) {
      const names = declared.map((one) => one.name);
      refuse(
        path,
        "the pipeline declares no such param",
        names.length === 0 ? "declare it in the params of the pipeline" : suggestHint(name, names),
      );
      continue;
    }
    if (param.readOnly === true && (param.value ?? "") !== "" && value !== "" && value !== param.value)
      refuse(path, `the param is read-only with the value "${param.value}"`);
    const isTemplate = value.includes("${");
    if (param.type === "secret" && isTemplate)
      refuse(path, "which secret is used is not for an event to say", "write the name of the secret");
    const wrong = isTemplate || value === "" ? undefined : wrongValue(param, value);
    if (wrong !== undefined) refuse(path, `is of type ${param.type}; ${wrong}`);
    checkFacts(path, value);
  }
  for (const [name, value] of Object.entries(trigger.labels ?? {})) checkFacts(["labels", name], value);
}

/** What the run is given: `${name}` replaced by facts; those that the event has not are empty. */
export function valuesOf(
  trigger: TriggerSpec,
  facts: Readonly<Record<string, string>>,
): { params: Record<string, string>; labels: Record<string, string> } {
  const fill = (text: string) => {
    const { text: filled, missing } = render(text, facts);
    return missing.length === 0 ? filled : render(text, { ...Object.fromEntries(missing.map((name) => [name, ""])), ...facts }).text;
  };
  const all = (values: Readonly<Record<string, string>> = {}, max: number) =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, text]) => {
        const value = fill(text).slice(0, max).toWellFormed();
        return value === "" ? [] : [[name, value]];
      }),
    );
  return { params: all(trigger.params, MAX_VALUE), labels: all(trigger.labels, MAX_LABEL) };
}

/** Longer facts, such as the message of a commit, are cut. */
const MAX_VALUE = 8 * 1024;
const MAX_LABEL = 128;
