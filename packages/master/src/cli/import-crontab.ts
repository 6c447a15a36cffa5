/**
 * `fleetcron import crontab`: a crontab as a job file on standard output, or applied at once. Whatever could not be carried over is told on
 * standard error with its line; what is printed reads back to the same jobs.
 */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError, asError, formatIssue, type Issue } from "fleetcron-shared/base/errors";
import { importCrontab } from "fleetcron-shared/model/crontab";
import type { JobSpec, TargetSpec } from "fleetcron-shared/model/job-spec";
import { jobsToYaml } from "fleetcron-shared/model/job-yaml";
import { applyFiles } from "./apply.ts";
import { parseId, parsePairs } from "./arguments.ts";
import type { Context } from "./context.ts";
import { plain } from "./human.ts";
import { printValue } from "./output.ts";
import { readInput } from "./read-files.ts";

export type ImportOptions = {
  readonly system?: boolean;
  readonly group: string;
  readonly timezone?: string;
  readonly apply?: boolean;
  readonly dryRun?: boolean;
  readonly out?: string;
  readonly target?: readonly string[];
};

export async function importCrontabFile(context: Context, path: string, options: ImportOptions): Promise<void> {
  if (options.dryRun === true && options.apply !== true)
    throw new AppError("input/usage", "--dry-run belongs to --apply; without it nothing is written anyway");
  const target = parseTarget(options.target ?? []);
  const timezone = options.timezone ?? context.io.timezone;
  const { name, text } = await readInput(context.io, path);
  const { jobs: found, notes } = importCrontab(text, {
    system: options.system === true,
    file: name,
    group: options.group,
    ...(timezone === undefined ? {} : { timezone }),
  });
  const jobs = found.map(({ group, id, spec }) => ({ group, id, spec: withTarget(spec, target) }));
  tellNotes(context, name, jobs, notes);
  if (jobs.length === 0) throw new AppError("input/invalid", `${name} holds no entry that could be carried over`);
  const yaml = `# from ${plain(name)}\n${jobsToYaml(jobs)}`;
  if (options.out !== undefined) await write(context, options.out, yaml);
  if (options.apply === true)
    return applyFiles(context, [{ name: options.out ?? `(imported from ${name})`, text: yaml }], { dryRun: options.dryRun === true });
  if (options.out !== undefined) return;
  const format = context.options().output;
  if (format === "json")
    return printValue(context, { jobs: Object.fromEntries(jobs.map((job) => [`${job.group}/${job.id}`, job.spec])) }, "json");
  context.io.out(format === "name" ? jobs.map((job) => `${job.group}/${job.id}\n`).join("") : yaml);
}

/** `role=db` narrows by label, a word without `=` names a node. */
function parseTarget(texts: readonly string[]): TargetSpec | undefined {
  if (texts.length === 0) return undefined;
  const nodes = texts.filter((text) => !text.includes("=")).map((text) => parseId(text, "a node"));
  const labels = parsePairs(
    texts.filter((text) => text.includes("=")),
    "--target",
  );
  return { ...(nodes.length === 0 ? {} : { nodes }), ...(Object.keys(labels).length === 0 ? {} : { labels }) };
}

function withTarget(spec: JobSpec, target: TargetSpec | undefined): JobSpec {
  return target === undefined ? spec : { ...spec, rules: spec.rules.map((rule) => ({ ...rule, target })) };
}

function tellNotes({ io }: Context, name: string, jobs: readonly { spec: JobSpec }[], notes: readonly Issue[]): void {
  for (const note of notes) io.err(`${plain(formatIssue(note))}\n`);
  const count = jobs.length === 1 ? "1 job" : `${jobs.length} jobs`;
  const left = notes.length === 0 ? "nothing was left behind" : `${notes.length === 1 ? "1 note" : `${notes.length} notes`} above`;
  const zones = [...new Set(jobs.flatMap((job) => job.spec.rules.flatMap((rule) => rule.timezone ?? [])))];
  io.err(`${plain(name)}: ${count}, ${left}${zones.length === 0 ? "" : `; by the clock of ${zones.join(" and ")}`}\n`);
  if (jobs.length > 0) io.err("cron lets runs of an entry overlap; these jobs skip a tick while their last run goes on (overlap: skip)\n");
}

async function write({ io }: Context, path: string, text: string): Promise<void> {
  try {
    await writeFile(resolve(io.cwd, path), text, { flag: "wx" });
  } catch (thrown) {
    const exists = (thrown as NodeJS.ErrnoException).code === "EEXIST";
    throw new AppError("input/usage", `${path} cannot be written: ${exists ? "it exists already" : asError(thrown).message}`, {
      cause: thrown,
    });
  }
}
