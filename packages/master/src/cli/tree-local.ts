/** The commands that are about this machine and the master itself: serve, up, doctor, completion, version. */
import { Argument, type Command } from "commander";
import type { Context } from "./context.ts";
import type { DoctorOptions } from "./doctor.ts";
import { addServeCommand } from "./serve.ts";
import { collect, count } from "./tree-options.ts";
import type { UpOptions } from "./up.ts";

export function addLocalCommands(program: Command, context: Context): void {
  addServeCommand(program, context);

  program
    .command("up")
    .summary("run a whole Fleetcron on this machine")
    .description("Runs a master, agents and, when no --etcd is given, a private etcd, until Ctrl-C. For one machine and for trying it out.")
    .option("--agents <number>", "how many agents", count("--agents", 0, 100), 1)
    .option("--listen <host:port>", "where the master serves", "127.0.0.1:7800")
    .option("--insecure-plain", "listen beyond this host without TLS: put a TLS proxy in front")
    .option("--etcd <url>", "use this etcd instead of a private one; repeatable", collect)
    .option("--prefix <prefix>", "prefix of all keys in etcd", "/fleetcron")
    .option("--data-dir <folder>", "where everything is kept (FLEETCRON_DATA_DIR; default .fleetcron)")
    .option("--node-name <name>", "the agents are called NAME-1, NAME-2 …", "node")
    .option("--ready-file <file>", "write {url, token, login, etcd, nodes} here once everything is ready")
    .action(async (options: UpOptions) => (await import("./up.ts")).up(context, options));

  program
    .command("doctor")
    .summary("check master, etcd and nodes, and say what to do")
    .description(
      "Checks the master, its etcd and the nodes. Only reads. Exit code 1 when a check fails, 6 when the master is out of reach.",
    )
    .option("--etcd <url>", "ask this etcd instead of the ones that the master names; repeatable", collect)
    .action(async (options: DoctorOptions) => (await import("./doctor.ts")).doctor(context, options));

  program
    .command("completion")
    .summary("print a completion script for a shell")
    .description(
      "Prints a completion script: `source <(fleetcron completion bash)`, or the same with zsh; `fleetcron completion fish | source`.",
    )
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .action(async (shell: "bash" | "zsh" | "fish") => context.io.out((await import("./completion.ts")).completionScript(program, shell)));

  program
    .command("version")
    .description("print the version")
    .action(async () => {
      const { version } = context.io;
      const format = context.options().output ?? "table";
      if (format === "table" || format === "name") context.io.out(`${version}\n`);
      else await (await import("./output.ts")).printValue(context, { version, node: context.io.nodeVersion }, format);
    });
}
