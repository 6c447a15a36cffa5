/** The commands around secrets. */
import type { Command } from "commander";
import type { Context } from "./context.ts";
import type { ListOptions } from "./list.ts";
import type { SetSecretOptions } from "./secret.ts";
import { addListOptions, collect } from "./tree-options.ts";

export function addSecretCommands(program: Command, context: Context): void {
  const secrets = () => import("./secret.ts");
  const secret = program.command("secret").description("give nodes values that nobody else can read");
  addListOptions(secret.command("ls").description("list secrets, and which nodes lack them"), { group: true }).action(
    async (options: ListOptions) => (await secrets()).listSecrets(context, options),
  );
  secret
    .command("set <secret>")
    .summary("encrypt a value for nodes and store it")
    .description(
      "Reads a value (typed without echo, from standard input, or from a file), encrypts it here for each of the nodes, and stores that. A secret is called GROUP/NAME: for jobs of that group, or of every group when it is `shared`. Without --node, -l and --all it is for the same nodes as before.",
    )
    .option("--file <file>", "read the value from here; one line end at its end is left out")
    .option("--node <id>", "for this node; repeatable", collect)
    .option("-l, --label <name=value>", "for the nodes with this label; repeatable, all must hold", collect)
    .option("--all", "for every node")
    .action(async (name: string, options: SetSecretOptions) => (await secrets()).setSecret(context, name, options));
  secret
    .command("rm <secret...>")
    .description("take secrets away from all nodes")
    .action(async (names: string[]) => (await secrets()).removeSecrets(context, names));
}
