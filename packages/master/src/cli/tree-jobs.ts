/** The commands around jobs: apply, import, job. */
import type { Command } from "commander";
import type { ApplyOptions } from "./apply.ts";
import type { Context } from "./context.ts";
import type { ImportOptions } from "./import-crontab.ts";
import type { RunOptions } from "./job-run.ts";
import type { ListOptions } from "./list.ts";
import { addListOptions, collect, count } from "./tree-options.ts";
import type { VerifyOptions } from "./verify.ts";

export function addJobCommands(program: Command, context: Context): void {
  program
    .command("apply")
    .summary("create and change jobs from files")
    .description("Creates and changes jobs from YAML or JSON files. Nothing is written unless everything in them is right.")
    .requiredOption("-f, --file <path>", "a file, a folder (its *.yaml, *.yml, *.json) or - for standard input; repeatable", collect)
    .option("--dry-run", "only show what would change")
    .option("--prune", "delete jobs that the files do not hold, in the groups that they mention")
    .option("--group <group>", "leave the jobs of other groups alone")
    .action(async (options: ApplyOptions) => (await import("./apply.ts")).apply(context, options));

  program
    .command("import")
    .description("make jobs from other schedulers' files")
    .command("crontab <file>")
    .summary("make jobs from a crontab")
    .description(
      "Prints a crontab (- for standard input) as a job file; what it cannot carry over is told with its line on standard error.",
    )
    .option("--system", "a system crontab such as /etc/crontab: the sixth field is the user")
    .option("--group <group>", "the group of the jobs", "crontab")
    .option("--timezone <zone>", "whose clock the entries go by where the crontab names none (default: this host's)")
    .option("--target <node|label=value>", "where they run (default: on every node); repeatable", collect)
    .option("--out <file>", "write the job file here instead of printing it")
    .option("--apply", "apply the jobs as well")
    .option("--dry-run", "with --apply: only show what would change")
    .action(async (file: string, options: ImportOptions) =>
      (await import("./import-crontab.ts")).importCrontabFile(context, file, options),
    );

  program
    .command("verify")
    .summary("check that everything that was due has happened, once and in time")
    .description(
      "Compares schedules with records, claims and processes: ticks that nobody tells of, that ran twice, late or at the same time, that were missed or lost. Only reads. Exit code 1 when something is found.",
    )
    .option("--since <time>", "ticks from this time on, or so long ago", "24h")
    .option("--until <time>", "ticks before this time (default: now)")
    .option("--job <job>", "only of this job")
    .option("--group <group>", "only of this group")
    .option("--late-after <duration>", "what begins later than this after its due time is late (default: 1m)")
    .option("--limit <number>", "list at most so many findings (default: 1000)", count("--limit", 1, 10_000))
    .action(async (options: VerifyOptions) => (await import("./verify.ts")).verify(context, options));

  const job = program
    .command("job")
    .description("look at jobs, run, pause and explain them; a <job> is GROUP/ID, or ID in the group default");
  addListOptions(job.command("ls").description("list jobs"), { group: true, label: true })
    .addHelpText("after", "\n--sort also takes key, updated and next, which sort all jobs before --limit cuts.")
    .action(async (options: ListOptions) => (await import("./job.ts")).listJobs(context, options));
  job
    .command("show <job>")
    .description("show one job")
    .action(async (name: string) => (await import("./job.ts")).showJob(context, name));
  job
    .command("run <job>")
    .description("run a job now: on each online node that it matches (common), else on one")
    .option("--node <id>", "on this node")
    .option("--env <name=value>", "set in its environment; repeatable", collect)
    .option("--param <name=value>", "a param that the job declares; repeatable", collect)
    .option("--wait", "wait for the end; exit code 1 if it fails")
    .option("--timeout <duration>", "with --wait: at most so long (exit code 7)")
    .action(async (name: string, options: RunOptions) => (await import("./job-run.ts")).runJob(context, name, options));
  job
    .command("pause <job>")
    .description("let no ticks fire until resume")
    .action(async (name: string) => (await import("./job.ts")).pauseJob(context, name));
  job
    .command("resume <job>")
    .description("let ticks fire again")
    .action(async (name: string) => (await import("./job.ts")).resumeJob(context, name));
  job
    .command("rm <job...>")
    .description("delete jobs")
    .option("--force", "even if pipelines name them")
    .action(async (names: string[], options: { force?: boolean }) => (await import("./job.ts")).removeJobs(context, names, options));
  job
    .command("next <job>")
    .description("the next ticks")
    .option("-n <number>", "how many of each rule", count("-n", 1, 1000), 5)
    .option("--at <time>", "after this time instead of now")
    .action(async (name: string, options: { n: number; at?: string }) => (await import("./job.ts")).nextTicks(context, name, options));
  job
    .command("why <job> [time]")
    .description("why a tick did or did not run; without a time the latest one")
    .action(async (name: string, time: string | undefined) => (await import("./job.ts")).whyJob(context, name, time));
  addListOptions(job.command("history <job>").description("the records of a job, newest first"), {}).action(
    async (name: string, options: ListOptions) => (await import("./fleet.ts")).listRecords(context, { ...options, job: name }),
  );
  job
    .command("reset <job>")
    .description("forget the success of onlyonce rules, so that they run again")
    .option("--node <id>", "on this node only")
    .action(async (name: string, options: { node?: string }) => (await import("./job.ts")).resetJob(context, name, options));
}
