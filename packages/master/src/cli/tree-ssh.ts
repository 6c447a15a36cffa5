/** The commands that reach hosts over SSH: pinning their keys, installing and removing agents. */
import { type Command, Option } from "commander";
import type { Context } from "./context.ts";
import type { InstallOptions } from "./node-install.ts";
import type { UninstallOptions } from "./node-uninstall.ts";
import type { TrustOptions } from "./ssh-trust.ts";
import { collect, count } from "./tree-options.ts";

/** Behind `addFleetCommands`, which makes `node`. */
export function addSshCommands(program: Command, context: Context): void {
  const ssh = program.command("ssh").description("look after the SSH keys of hosts");
  ssh
    .command("trust <host...>")
    .summary("show the keys of hosts and keep them as known")
    .description(
      "Asks each host for its keys, without logging in, shows their fingerprints and keeps them in known_hosts once you agree. HOST is [user@]host[:port] or an alias of ~/.ssh/config. Compare a fingerprint with what the host says itself: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` at its console.",
    )
    .option("--known-hosts <file>", "look into this file alone, and keep the keys there; default: ~/.ssh/known_hosts")
    .option("--fingerprint <SHA256:...>", "keep the key with this fingerprint, and no other; repeatable, for several hosts", collect)
    .option("--yes", "keep what the hosts show, without asking")
    .option("--replace", "also when another key is known: its entry goes")
    .addHelpText(
      "after",
      "\nAgents have files of their own: one reads <dataDir>/known_hosts, then ~/.ssh/known_hosts of the user it runs as, then /etc/ssh/ssh_known_hosts." +
        "\nSo run this on the agent's host as its user, or with --known-hosts on a file that you put there. `node install` reads the file of who runs it." +
        "\n\nExit codes: 0 all keys are known now, 4 a key has changed, 5 it was not confirmed, 6 a host does not answer; with several hosts the first failure counts.",
    )
    .action(async (hosts: string[], options: TrustOptions) => (await import("./ssh-trust.ts")).trustHosts(context, hosts, options));

  const node = program.commands.find((command) => command.name() === "node") ?? program.command("node");
  addAccessOptions(
    node
      .command("install <host...>")
      .summary("install and start the agent on hosts over SSH")
      .description(
        "Installs and starts the agent on each HOST ([user@]host[:port] or an alias of ~/.ssh/config): Node.js, the agent and its packages in one bundle, made from this installation. The same again changes nothing; another version is switched to, and executions go on meanwhile.",
      )
      .option("--etcd <url>", "etcd as the hosts see it; repeatable; default: what the master says, if one is configured", collect)
      .option("--id <id>", "the node's id, for a single host; default: derived from the machine")
      .option("-l, --label <name=value>", "label of the nodes; repeatable", collect)
      .option("--config <file>", "settings of the agents (agent.yaml) instead of these three")
      .option("--force", "replace settings on the host that somebody has edited; a copy stays beside them")
      .option("--node-binary <file>", "Node.js for the hosts, when their processor is another; default: the one that runs this"),
  )
    .option("--parallel <number>", "so many hosts at a time", count("--parallel", 1, 100), 5)
    .option("--no-start", "install, and start nothing")
    .option("--no-wait", "do not wait until the nodes are online")
    .addHelpText("after", HELP)
    .action(async (hosts: string[], options: InstallOptions) => (await import("./node-install.ts")).installNodes(context, hosts, options));

  addAccessOptions(
    node
      .command("uninstall <host...>")
      .summary("remove agents that were installed over SSH")
      .description(
        "Stops the agent on each HOST, removes what `node install` made there and nothing else, and forgets the node when a master is configured. Refused while the agent runs something.",
      )
      .option("--stop-executions", "end what the agents run; their records say so")
      .option("--purge", "remove the agents' data folders, too: journals and logs"),
  )
    .option("--parallel <number>", "so many hosts at a time", count("--parallel", 1, 100), 5)
    .action(async (hosts: string[], options: UninstallOptions) =>
      (await import("./node-uninstall.ts")).uninstallNodes(context, hosts, options),
    );
}

function addAccessOptions(command: Command): Command {
  return command
    .option("--key <file>", "log in with this private key; default: the ssh-agent, then the usual keys")
    .option("--password", "log in with a password, asked without echo or taken from FLEETCRON_SSH_PASSWORD; the same for all hosts")
    .option("--ask-passphrase", "the key has a passphrase: asked without echo, or FLEETCRON_SSH_PASSPHRASE")
    .addOption(
      new Option("--host-keys <policy>", "hosts whose key is not known: refuse them, or keep the key")
        .choices(["strict", "accept-new"])
        .default("strict"),
    )
    .option(
      "--prefix <folder>",
      "where the agent is on the hosts; default: /opt/fleetcron for root or with sudo without a password, else ~/.local/share/fleetcron",
    );
}

const HELP =
  "\nIn /opt/fleetcron the settings are /etc/fleetcron/agent.yaml and the data /var/lib/fleetcron-agent; any other folder holds all of it." +
  "\nWhere systemd runs, the agent is a service. Elsewhere <prefix>/fleetcron-agent-ctl start|stop|status looks after it, with a line in crontab for reboots." +
  "\nHow the hosts' keys get known: `fleetcron ssh trust HOST`. Exit code 1 when any host failed; the others are done all the same.";
