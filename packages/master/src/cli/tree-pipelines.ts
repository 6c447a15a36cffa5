/** The commands around pipelines. */
import { type Command, Option } from "commander";
import type { Context } from "./context.ts";
import type { ListOptions } from "./list.ts";
import type { PipelineRunsOptions } from "./pipeline.ts";
import type { PipelineRunOptions, WaitOptions } from "./pipeline-run.ts";
import { addListOptions, collect } from "./tree-options.ts";

export function addPipelineCommands(program: Command, context: Context): void {
  const look = () => import("./pipeline.ts");
  const act = () => import("./pipeline-run.ts");
  const pipeline = program
    .command("pipeline")
    .description("look at pipelines and run them; a <pipeline> is GROUP/ID, or ID in the group default");
  addListOptions(pipeline.command("ls").description("list pipelines"), { group: true }).action(async (options: ListOptions) =>
    (await look()).listPipelines(context, options),
  );
  pipeline
    .command("show <pipeline>")
    .description("show one pipeline")
    .action(async (name: string) => (await look()).showPipeline(context, name));
  pipeline
    .command("rm <pipeline...>")
    .description("delete pipelines; their runs go on")
    .action(async (names: string[]) => (await look()).removePipelines(context, names));
  addWait(
    pipeline
      .command("run <pipeline>")
      .description("start a run")
      .option("--param <name=value>", "a param of the pipeline; repeatable", collect)
      .option("-l, --label <name=value>", "a label of this run; repeatable", collect)
      .option("--dry-run", "only show what would run, and where"),
  ).action(async (name: string, options: PipelineRunOptions) => (await act()).runPipeline(context, name, options));
  addListOptions(pipeline.command("runs [pipeline]").description("list runs, newest first"), {})
    .addOption(
      new Option("--state <state>", "only in this state").choices(["queued", "active", "succeeded", "failed", "cancelled", "unfinished"]),
    )
    .action(async (name: string | undefined, options: PipelineRunsOptions) => (await look()).listRuns(context, name, options));
  addWait(pipeline.command("status <run>").description("show a run with each of its tasks")).action(
    async (run: string, options: WaitOptions) => (await act()).showRun(context, run, options),
  );
  addWait(
    pipeline
      .command("cancel <run>")
      .description("end a run: what waits is cancelled, what runs is killed, finally tasks run (cancel again to end those too)")
      .option("--reason <text>", "stands in the run"),
  ).action(async (run: string, options: WaitOptions & { reason?: string }) => (await act()).cancelRun(context, run, options));
  addWait(
    pipeline
      .command("rerun <run>")
      .description("run an ended run again, as a new attempt")
      .option("--from <task>", "only this task, what depends on it, and what did not succeed"),
  ).action(async (run: string, options: WaitOptions & { from?: string }) => (await act()).rerunRun(context, run, options));
  for (const [word, what, must] of [
    ["approve", "let a task start that waits for approval", false],
    ["deny", "refuse a task that waits for approval", true],
    ["confirm", "accept the result of a task", false],
    ["reject", "refuse the result of a task", true],
  ] as const) {
    const command = pipeline.command(`${word} <run> <task>`).description(what);
    if (must) command.requiredOption("--comment <text>", "why");
    else command.option("--comment <text>", "stands in the run");
    command.action(async (run: string, task: string, options: { comment?: string }) =>
      (await act()).decide(context, run, task, word, options),
    );
  }
}

function addWait(command: Command): Command {
  return command
    .option("--wait", "wait for the end; exit code 1 if it does not succeed")
    .option("--timeout <duration>", "with --wait: at most so long (exit code 7)");
}
