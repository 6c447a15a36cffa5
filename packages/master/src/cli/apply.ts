/** `fleetcron apply`: job files to the master, which checks all of them before it writes any; what changes is shown, rule by rule. */
import { AppError } from "fleetcron-shared/base/errors";
import type { ApplyChange, ApplyResult } from "../http/api-schema.ts";
import type { Colour, Context } from "./context.ts";
import { humanTime, plain } from "./human.ts";
import { printValue } from "./output.ts";
import { type NamedText, readInputs } from "./read-files.ts";

export type ApplyOptions = {
  readonly file: readonly string[];
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly group?: string;
};

export async function apply(context: Context, options: ApplyOptions): Promise<void> {
  const files = await readInputs(context.io, options.file);
  await applyFiles(context, files, options);
}

/** Applies texts that are already read (also those that `import crontab` made). */
export async function applyFiles(context: Context, files: readonly NamedText[], options: Omit<ApplyOptions, "file">): Promise<void> {
  const api = await context.api();
  const result = await api.apply({
    files: [...files],
    dryRun: options.dryRun === true,
    prune: options.prune === true,
    ...(options.group === undefined ? {} : { group: options.group }),
  });
  const format = context.options().output ?? "table";
  if (format === "json" || format === "yaml") return printValue(context, result, format);
  if (format === "name") context.io.out(result.changes.map((change) => `${change.key}\n`).join(""));
  else context.io.out(applyText(context, result));
  if (result.changes.length === 0)
    throw new AppError("input/invalid", "the files hold no job, pipeline or channel", {
      hint: "a file has jobs under `jobs:` and pipelines under `pipelines:`, keyed by group/id, and channels under `channels:`",
    });
}

const MARKS: Record<ApplyChange["action"], readonly [string, Colour]> = {
  created: ["+", "green"],
  updated: ["~", "yellow"],
  unchanged: ["=", "dim"],
  deleted: ["-", "red"],
};

/** Each change with its diff and its rules in words, then one line that sums up. */
export function applyText(context: Pick<Context, "clock" | "paint">, result: ApplyResult): string {
  const { paint } = context;
  const blocks = result.changes.map((change) => {
    const [mark, colour] = MARKS[change.action];
    const head = paint(
      colour,
      `${mark} ${change.kind === undefined ? "" : `${change.kind} `}${change.key} ${result.dryRun && change.action !== "unchanged" ? `would be ${change.action}` : change.action}`,
    );
    const diff = (change.diff ?? []).map(
      (line) => `    ${paint(line.startsWith("-") ? "red" : line.startsWith("+") ? "green" : "dim", plain(line))}\n`,
    );
    const rules =
      change.action === "created" || change.action === "updated" ? (change.rules ?? []).map((rule) => ruleText(context, rule)) : [];
    return `${head}\n${diff.join("")}${rules.join("")}`;
  });
  return `${blocks.join("")}${sumText(result)}\n`;
}

function ruleText({ clock, paint }: Pick<Context, "clock" | "paint">, rule: NonNullable<ApplyChange["rules"]>[number]): string {
  const [first] = rule.next;
  const ticks = first === undefined ? "no tick by the clock" : `next ${rule.next.map((at) => at.replace(/\.000Z$/, "Z")).join(", ")}`;
  return `    ${plain(rule.id)}: ${plain(rule.words)}${first === undefined ? "" : `, ${humanTime(first, clock.now())}`}\n      ${paint("dim", ticks)}\n`;
}

function sumText(result: ApplyResult): string {
  const counts = (["created", "updated", "deleted", "unchanged"] as const)
    .map((action) => [result.changes.filter((change) => change.action === action).length, action] as const)
    .filter(([count]) => count > 0)
    .map(([count, action]) => `${count} ${action}`);
  const text = counts.length === 0 ? "nothing to do" : counts.join(", ");
  return result.dryRun ? `dry run, nothing was written: ${text}` : text;
}
