/** The commands around executions, nodes, globals, records and processes. */
import { type Command, Option } from "commander";
import type { Context } from "./context.ts";
import type { RecordOptions } from "./fleet.ts";
import type { ListOptions } from "./list.ts";
import type { DrainOptions } from "./node-drain.ts";
import type { LogOptions } from "./run-logs.ts";
import { addJobAndNode, addListOptions, count } from "./tree-options.ts";

type ExecutionOptions = ListOptions & { job?: string; node?: string; state?: "running" | "ended" };

export function addFleetCommands(program: Command, context: Context): void {
  const fleet = () => import("./fleet.ts");
  const drain = () => import("./node-drain.ts");

  const run = program.command("run").description("look at executions and end them");
  addJobAndNode(addListOptions(run.command("ls").description("list executions, newest first"), { group: true }))
    .addOption(new Option("--state <state>", "only in this state").choices(["running", "ended"]))
    .action(async (options: ExecutionOptions) => (await fleet()).listExecutions(context, options));
  run
    .command("show <execution>")
    .description("show an execution with each of its attempts")
    .action(async (id: string) => (await fleet()).showExecution(context, id));
  run
    .command("logs <execution>")
    .description("print the output of an execution, or follow it to its end")
    .option("-f, --follow", "go on until the execution has ended")
    .option("--tail <lines>", "only the last lines (and what follows)", count("--tail", 0, 10_000_000))
    .option("--head <lines>", "only the first lines", count("--head", 1, 10_000_000))
    .option("--from <offset>", "begin at this byte of what was written", count("--from", 0, 999_999_999_999))
    .option("--find <text>", "begin at the first line (from --from on) that holds this text; letters of either case are the same")
    .option("--attempt <number>", "of this attempt; default: the newest", count("--attempt", 1, 1_000_000))
    .option("--raw", "let everything pass to the terminal, not just colours")
    .action(async (id: string, options: LogOptions) => (await import("./run-logs.ts")).showLogs(context, id, options));
  run
    .command("kill <execution...>")
    .description("end executions with their whole process trees")
    .option("--reason <text>", "stands in the record")
    .action(async (ids: string[], options: { reason?: string }) => (await fleet()).killExecutions(context, ids, options));

  const node = program.command("node").description("look at nodes, label and drain them");
  addListOptions(node.command("ls").description("list nodes"), { label: true }).action(async (options: ListOptions) =>
    (await fleet()).listNodes(context, options),
  );
  node
    .command("show <node>")
    .description("show one node")
    .action(async (id: string) => (await fleet()).showNode(context, id));
  node
    .command("label <node> <changes...>")
    .description("set labels (name=value) and remove them (name-)")
    .action(async (id: string, changes: string[]) => (await fleet()).labelNode(context, id, changes));
  node
    .command("drain <node>")
    .description("give a node no new work, and tell what is left")
    .option("--wait", "wait until nothing is left")
    .option("--timeout <duration>", "wait no longer than this (exit code 7); it drains on")
    .action(async (id: string, options: DrainOptions) => (await drain()).drainNode(context, id, options));
  node
    .command("undrain <node>")
    .description("give a node work again")
    .action(async (id: string) => (await drain()).undrainNode(context, id));
  node
    .command("forget <node>")
    .description("drop a node that will not come back")
    .action(async (id: string) => (await fleet()).forgetNode(context, id));

  const global = program.command("global").description("look at the variables of the cluster, set and remove them");
  const globals = () => import("./global.ts");
  addListOptions(global.command("ls").description("list globals"), {}).action(async (options: ListOptions) =>
    (await globals()).listGlobals(context, options),
  );
  global
    .command("set <name> <value>")
    .description("set a global; a job's result that ends later replaces it")
    .action(async (name: string, value: string) => (await globals()).setGlobal(context, name, value));
  global
    .command("rm <name...>")
    .description("remove globals")
    .action(async (names: string[]) => (await globals()).removeGlobals(context, names));

  const record = program.command("record").description("look at what ran, was skipped or was lost");
  addJobAndNode(addListOptions(record.command("ls").description("list records, newest first"), { group: true }))
    .option("--outcome <word>", "success, failure, a kind such as skipped, or a word such as exit:1")
    .option("--since <time>", "ended since; a time or how long ago, such as 10m")
    .option("--until <time>", "ended before")
    .option("--text <words>", "name, command or output have all of these words; word* for those that begin so")
    .action(async (options: RecordOptions) => (await fleet()).listRecords(context, options));
  record
    .command("show <record>")
    .description("show one record with the tail of its output")
    .action(async (id: string) => (await fleet()).showRecord(context, id));

  addJobAndNode(
    addListOptions(
      program.command("proc").description("look at the processes of jobs").command("ls").description("list processes that run now"),
      {
        group: true,
      },
    ),
  ).action(async (options: ListOptions & { job?: string; node?: string }) => (await fleet()).listProcs(context, options));
}
