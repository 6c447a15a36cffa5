/** `fleetcron verify`: whether everything that was due has happened, once and in time. Ends with 1 when it has not. */
import type { VerifyResult } from "../http/verify-schema.ts";
import { toKey } from "../job-ref.ts";
import { parseInstant, parseJobRef } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanDuration, plain } from "./human.ts";
import { printOne } from "./output.ts";

export type VerifyOptions = {
  readonly since: string;
  readonly until?: string;
  readonly job?: string;
  readonly group?: string;
  readonly lateAfter?: string;
  readonly limit?: number;
};

const WITH_FINDINGS = 1;

export async function verify(context: Context, options: VerifyOptions): Promise<void> {
  const now = context.clock.now();
  const { until, job, group, lateAfter, limit } = options;
  const result = await (await context.api()).verify({
    since: parseInstant(options.since, "--since", now),
    ...(until === undefined ? {} : { until: parseInstant(until, "--until", now) }),
    ...(job === undefined ? {} : { job: toKey(parseJobRef(job)) }),
    ...(group === undefined ? {} : { group }),
    ...(lateAfter === undefined ? {} : { lateAfter }),
    ...(limit === undefined ? {} : { limit }),
  });
  const isClean = result.findings.length + result.more === 0;
  await printOne(context, result, { name: () => (isClean ? "clean" : "findings"), text: (value) => verifyText(context, value) });
  if (!isClean) context.exitWith(WITH_FINDINGS);
}

function verifyText(context: Context, result: VerifyResult): string {
  const { findings, more, summary, unknown, unknownMore } = result;
  const lines = findings.map(({ kind, text }) => `${context.paint("red", kind)}  ${plain(text)}`);
  if (more > 0) lines.push(`… and ${more} more findings; --limit shows more`);
  if (lines.length > 0) lines.push("");
  lines.push(`${result.since} to ${result.until}, ${counted(result.jobs, "job")}:`);
  lines.push(`  ${counted(summary.due, "tick")} due: ${fates(summary).join(", ")}`);
  if (summary.lateness !== undefined) {
    const { p50Ms, p99Ms, maxMs } = summary.lateness;
    lines.push(`  began after the due time: median ${humanDuration(p50Ms)}, p99 ${humanDuration(p99Ms)}, at most ${humanDuration(maxMs)}`);
  }
  const { duplicate = 0, overlap = 0, late = 0 } = summary.findings;
  lines.push(`  late ${late}, duplicates ${duplicate}, overlaps ${overlap}`);
  if (unknown.length > 0) lines.push("Not known:");
  for (const { text, before } of unknown) lines.push(`  ${plain(text)}${before === undefined ? "" : ` (judged from ${before} on)`}`);
  if (unknownMore > 0) lines.push(`  … and of ${counted(unknownMore, "more job")}`);
  const count = findings.length + more;
  lines.push(count === 0 ? context.paint("green", "Nothing is wrong.") : context.paint("red", `${counted(count, "finding")}.`));
  return `${lines.join("\n")}\n`;
}

function fates({ ran, skipped, missed, lost, pending, silent }: VerifyResult["summary"]): string[] {
  return [
    `${ran} ran`,
    ...byReason("skipped", skipped),
    ...byReason("missed", missed),
    ...(lost === 0 ? [] : [`${lost} lost`]),
    ...(pending === 0 ? [] : [`${pending} pending`]),
    ...(silent === 0 ? [] : [`${silent} without a verdict`]),
  ];
}

function byReason(word: string, reasons: Readonly<Record<string, number>>): string[] {
  const parts = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  const total = Object.values(reasons).reduce((sum, count) => sum + count, 0);
  return total === 0 ? [] : [`${total} ${word} (${parts.join(", ")})`];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
