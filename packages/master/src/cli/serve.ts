/** `fleetcron serve` as a command: its flags, one per setting of config.ts. What it needs is only loaded when it runs, because every other command starts without. */
import type { Command } from "commander";
import type { Context } from "./context.ts";
import { collect } from "./tree-options.ts";

/** Flag and meaning of each setting, in the order of `--help`. */
export const SERVE_FLAGS = [
  ["--etcd <url>", "etcd endpoint; repeatable (default: http://127.0.0.1:2379)"],
  ["--etcd-ca <file>", "CA certificate of etcd"],
  ["--etcd-cert <file>", "this master's client certificate"],
  ["--etcd-key <file>", "key of the client certificate"],
  ["--etcd-user <name>", "etcd user"],
  ["--etcd-password <text>", "password of the etcd user; better given in the configuration file or the environment"],
  ["--prefix <prefix>", "prefix of all keys in etcd (default: /fleetcron)"],
  ["--listen <host:port>", "where the REST API is served; port 0 takes a free one (default: 127.0.0.1:7800)"],
  ["--tls-cert <file>", "certificate of the REST API (PEM, with those of its issuers); read again on SIGHUP"],
  ["--tls-key <file>", "key of the certificate"],
  ["--insecure-plain", "listen beyond this host without TLS: put a TLS proxy in front"],
  ["--session-max <duration>", "how long a console session lasts at most (default: 12h)"],
  ["--session-idle <duration>", "how long a console session lasts without being used (default: 1h)"],
  ["--public-url <url>", "where people reach the console, such as https://fleet.example.com (default: as their browser says)"],
  ["--oidc-issuer <url>", "OpenID provider that people may log in to the console through: its issuer"],
  ["--oidc-client-id <id>", "this master's client at the OpenID provider"],
  ["--oidc-client-secret-file <file>", "file with the secret of this client"],
  ["--oidc-roles <row>", "who of the provider has which role: ROLE[@GROUP+GROUP]:CLAIM=VALUE, such as operator@db:groups=dba; repeatable"],
  ["--oidc-name <name>", "what the login page calls the provider (default: OpenID)"],
  ["--oidc-scopes <scopes>", "what the provider is asked to tell, beside openid (default: profile,email)"],
  ["--oidc-user-claim <claim>", "what people are called by in decisions and the audit log (default: preferred_username)"],
  ["--audit-retention <duration>", "how long entries of the audit log are kept, the newest 20,000 at most (default: 90d)"],
  ["--data-dir <folder>", "for the admin token of the first start and the cluster's id (default: .fleetcron)"],
  ["--name <name>", "this master's name among masters (default: hostname and port)"],
  ["--timezone <zone>", "of rules that name none; kept in etcd by the cluster's first start (default: UTC)"],
  ["--session-ttl <duration>", "how long after its last sign of life a leader is replaced (default: 5s)"],
  ["--lost-after <duration>", "how long a node is gone before its executions count as lost (default: 60s)"],
  [
    "--missed-after <duration>",
    "how long after its time, beyond jitter and holdFor, a tick that nobody has reported counts as missed (default: 60s)",
  ],
  [
    "--notify-allow <target>",
    "send notifications there, too: a host name, address or network, or private for all; repeatable (default: public addresses)",
  ],
  ["--notify-secrets-dir <folder>", "files that channels name for their secrets (default: /etc/fleetcron/secrets)"],
  ["--rate-limit <n>", "how many requests one token may make per minute (default: 30000; 0: no limit)"],
  ["--event-readers <n>", "how many readers may follow the events of this master at once (default: 200)"],
  ["--notify-timeout <duration>", "how long one try to deliver a notification may take (default: 15s)"],
  [
    "--history <where>",
    "records and runs beyond etcd: off, sqlite, sqlite:PATH or postgres://…; a URL with a password is better given in the configuration file or the environment (default: sqlite)",
  ],
  ["--history-retention <duration>", "how long the history keeps records and runs after their end (default: 90d)"],
  ["--log-level <level>", "debug, info, warn, error or silent (default: info)"],
  ["--ready-file <file>", "write {url, token, etcd, master, pid} here once the master is ready"],
] as const;

export function addServeCommand(program: Command, context: Context): void {
  const command = program
    .command("serve")
    .summary("run a master")
    .description("Runs a master: the REST API, and the leader's services while it is elected. Stops at SIGTERM or Ctrl-C.")
    .option("-c, --config <file>", "settings as YAML (default: /etc/fleetcron/master.yaml if it exists; or FLEETCRON_MASTER_CONFIG)")
    .option("--print-config", "print the effective settings, secrets masked, and exit");
  for (const [flag, meaning] of SERVE_FLAGS) {
    if (flag.startsWith("--etcd <") || flag.startsWith("--notify-allow <") || flag.startsWith("--oidc-roles <"))
      command.option(flag, meaning, collect);
    else command.option(flag, meaning);
  }
  command
    .addHelpText(
      "after",
      "\nEach setting is also a key of the configuration file (dataDir) and an environment variable (FLEETCRON_MASTER_DATA_DIR).",
    )
    .action(async (flags: Record<string, unknown>) => (await import("./serve-run.ts")).serve(context, flags));
}
