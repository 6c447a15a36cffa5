/** What a command has handed back, as text for people. */
import type { ExecutionResult } from "fleetcron-shared/model/result";
import type { ConditionView } from "../http/node-schema.ts";
import type { Context } from "./context.ts";
import { humanTime, plainOutput } from "./human.ts";
import { detailText } from "./output.ts";

/** One line per thing, then what was not understood as it was written. */
export function resultText(context: Pick<Context, "paint">, result: ExecutionResult | undefined): string {
  if (result === undefined) return "";
  const { outputs = {}, globals = {}, conditions = [], next = [], problems = [], raw } = result;
  const lines = detailText(context, [
    ["reported", result.status === "failed" ? context.paint("red", "failed") : result.status],
    ["message", result.message],
    ...Object.entries(outputs).map(([name, value]) => [`output ${name}`, value] as const),
    ...Object.entries(globals).map(([name, value]) => [`global ${name}`, value] as const),
    ...conditions.map(
      ({ type, status, message }) => [`condition ${type}`, `${status}${message === undefined ? "" : `: ${message}`}`] as const,
    ),
    ["next", next.join(", ")],
    ...problems.map((problem) => ["problem", context.paint("yellow", problem)] as const),
  ]);
  if (raw === undefined) return lines;
  const heading = problems.length === 0 ? "beside the result on stderr:" : "the result as it was written:";
  return `${lines}\n${context.paint("dim", heading)}\n${plainOutput(raw)}${raw.endsWith("\n") ? "" : "\n"}`;
}

/** Rows of a node's details: `condition Disk: True 5m ago by ops/check: 3 GB left`. */
export function conditionRows(conditions: readonly ConditionView[], nowMs: number): (readonly [string, string])[] {
  return conditions.map(({ type, status, message, at, job }) => [
    `condition ${type}`,
    `${status}, ${humanTime(at, nowMs)} by ${job}${message === undefined ? "" : `: ${message}`}`,
  ]);
}
