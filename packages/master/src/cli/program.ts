/**
 * The tree of commands: names, arguments and options, and which function of which file each one calls. Files behind a command are loaded
 * when it runs, so that a start costs the tree and no more. The tree's own mistakes (unknown command, missing argument) are `input/usage`.
 */
import { Command, type CommanderError, Option } from "commander";
import { AppError } from "fleetcron-shared/base/errors";
import { type Context, FORMATS, type GlobalOptions } from "./context.ts";
import { addAccessCommands } from "./tree-access.ts";
import { addChannelCommands } from "./tree-channels.ts";
import { addFleetCommands } from "./tree-fleet.ts";
import { addJobCommands } from "./tree-jobs.ts";
import { addLocalCommands } from "./tree-local.ts";
import { addPipelineCommands } from "./tree-pipelines.ts";
import { addSecretCommands } from "./tree-secrets.ts";
import { addSshCommands } from "./tree-ssh.ts";

export function createProgram(context: Context): Command {
  const program = new Command("fleetcron")
    .description("Cron for a fleet of hosts: the command line of a Fleetcron master, and the master itself (`serve`, `up`).")
    .addOption(new Option("--server <url>", "address of the master (FLEETCRON_SERVER; default http://127.0.0.1:7800)"))
    .addOption(new Option("--token <token>", "access token (FLEETCRON_TOKEN, or ~/.config/fleetcron/config.yaml)"))
    .addOption(new Option("--ca <file>", "certificates to trust, beside the system's, for an https master (FLEETCRON_CA)"))
    .addOption(new Option("-o, --output <format>", "how to print").choices(FORMATS))
    .option("--no-color", "no colours (also NO_COLOR)")
    .option("--debug", "with a stack trace when something fails")
    .version(context.io.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", `\nExit codes: ${EXIT_CODES}`)
    .exitOverride()
    .configureOutput({ writeOut: context.io.out, writeErr: () => {}, getOutHasColors: () => false })
    .configureHelp({ showGlobalOptions: true });
  addJobCommands(program, context);
  addFleetCommands(program, context);
  addSshCommands(program, context);
  addPipelineCommands(program, context);
  addSecretCommands(program, context);
  addChannelCommands(program, context);
  addAccessCommands(program, context);
  addLocalCommands(program, context);
  return program;
}

const EXIT_CODES =
  "0 done, 1 what was waited for failed or a check found something, 2 wrong usage or input, 3 not found, 4 conflict, 5 not allowed, 6 master or etcd out of reach, 7 timed out";

/** The global options as far as they are parsed. */
export function globalOptions(program: Command): GlobalOptions {
  return program.opts<GlobalOptions>();
}

/** What commander refused, in our words; undefined for help and version, which are no mistakes. */
export function usageError(thrown: CommanderError, program: Command, args: readonly string[]): AppError | undefined {
  if (thrown.exitCode === 0) return undefined;
  const command = deepest(program, args);
  const path = pathOf(command);
  if (thrown.code === "commander.help") {
    return new AppError("input/usage", `${path} needs a command`, {
      hint: `one of: ${names(command).join(", ")}; \`${path} --help\` explains them`,
    });
  }
  const text = thrown.message.replace(/^error: /, "");
  const near = /\n\(Did you mean (?:one of )?(.+)\?\)$/.exec(text);
  const message = near === null ? text : text.slice(0, near.index);
  return new AppError("input/usage", message, {
    hint: near === null ? `see \`${path} --help\`` : `did you mean ${near[1]}? (see \`${path} --help\`)`,
  });
}

/** The command that the leading words of `args` name. */
function deepest(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const word of args) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next !== undefined) command = next;
  }
  return command;
}

function names(command: Command): string[] {
  return command.commands.map((one) => one.name());
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
