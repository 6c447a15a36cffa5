/** The commands around who may do what, and who has done what: tokens, the audit log, users of etcd. */
import { type Command, Option } from "commander";
import type { AuditOptions } from "./audit.ts";
import type { Context } from "./context.ts";
import type { EtcdRolesOptions } from "./etcd-roles.ts";
import type { ListOptions } from "./list.ts";
import type { TokenOptions } from "./token.ts";
import { addListOptions, collect } from "./tree-options.ts";

export function addAccessCommands(program: Command, context: Context): void {
  const tokens = () => import("./token.ts");
  const token = program.command("token").description("make, list and revoke access tokens; log in at the console");
  token
    .command("create")
    .summary("make a token; it is shown once")
    .description("Makes a token and prints it, only now: the master keeps its hash. Needs an admin token without groups.")
    .addOption(new Option("--role <role>", "what it may do").choices(["viewer", "operator", "admin"]).default("viewer"))
    .option("--group <group>", "only in this group; repeatable (default: all, and what belongs to the whole cluster)", collect)
    .option("--name <name>", "what decisions and the audit log are signed with (default: one that is made up)")
    .option("--expires <duration>", "how long it is good for, like 30d (default: until it is revoked)")
    .action(async (options: TokenOptions) => (await tokens()).createToken(context, options));
  addListOptions(token.command("ls").description("list tokens"), {}).action(async (options: ListOptions) =>
    (await tokens()).listTokens(context, options),
  );
  token
    .command("revoke <token...>")
    .description("refuse tokens, and the console sessions that began with them, from now on")
    .action(async (names: string[]) => (await tokens()).revokeTokens(context, names));
  token
    .command("login-link")
    .description("print an address that logs a browser in as this token: once, within ten minutes")
    .action(async () => (await tokens()).loginLink(context));

  const audit = program.command("audit").description("see who has changed what");
  addListOptions(audit.command("ls").description("list changes, newest first"), {})
    .option("--since <time>", "not before this time, or as long ago, like 2h")
    .option("--until <time>", "before this time")
    .option("--who <name>", "by this token or user")
    .option("--resource <resource>", "of this kind (job), with this key (db/backup), or both (job:db/backup)")
    .action(async (options: AuditOptions) => (await import("./audit.ts")).listAudit(context, options));

  program
    .command("etcd-roles")
    .summary("print or apply least-privilege users of etcd")
    .description(
      "Prints the etcdctl commands that make a role and a user for masters and for each agent, so that an agent reaches its own node's keys only. The user of each is called as the common name of its client certificate. With --apply it makes them itself, as the etcd user root.",
    )
    .requiredOption("--masters <name>", "user of a master; repeatable", collect)
    .option("--agent <node[=name]>", "a node, and its user if that is not called like the node; repeatable", collect)
    .option("--prefix <prefix>", "prefix of all keys in etcd", "/fleetcron")
    .option("--apply", "make them, and switch authentication on if it is off")
    .option("--etcd <url>", "etcd endpoint; repeatable", collect)
    .option("--etcd-ca <file>", "CA certificate of etcd")
    .option("--etcd-cert <file>", "client certificate of the etcd user root")
    .option("--etcd-key <file>", "its key")
    .option("--etcd-user <name>", "root, when no certificate says so")
    .option("--etcd-password-file <file>", "its password")
    .action(async (options: EtcdRolesOptions) => (await import("./etcd-roles.ts")).etcdRoles(context, options));
}
