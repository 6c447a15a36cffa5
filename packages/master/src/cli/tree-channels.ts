/** The commands around notifications. */
import { type Command, Option } from "commander";
import type { DeliveryOptions } from "./channel.ts";
import type { Context } from "./context.ts";
import type { ListOptions } from "./list.ts";
import { addListOptions } from "./tree-options.ts";

export function addChannelCommands(program: Command, context: Context): void {
  const channels = () => import("./channel.ts");
  const channel = program.command("channel").description("look at channels of notifications, test them, see what was delivered");
  addListOptions(channel.command("ls").description("list channels"), {}).action(async (options: ListOptions) =>
    (await channels()).listChannels(context, options),
  );
  channel
    .command("show <channel>")
    .description("show one channel, its secrets masked")
    .action(async (name: string) => (await channels()).showChannel(context, name));
  channel
    .command("test <channel>")
    .description("send a test message and tell what came back; exit code 1 if it was not accepted")
    .action(async (name: string) => (await channels()).testChannel(context, name));
  channel
    .command("rm <channel...>")
    .description("delete channels that no job names")
    .action(async (names: string[]) => (await channels()).removeChannels(context, names));
  addListOptions(channel.command("deliveries").description("list deliveries, newest first; ended ones are kept for a day"), {})
    .option("--channel <name>", "only of this channel")
    .addOption(new Option("--state <state>", "only in this state").choices(["open", "sealed", "delivered", "failed"]))
    .action(async (options: DeliveryOptions) => (await channels()).listDeliveries(context, options));
  channel
    .command("retry <delivery...>")
    .description("send failed deliveries again")
    .action(async (ids: string[]) => (await channels()).retryDeliveries(context, ids));
}
