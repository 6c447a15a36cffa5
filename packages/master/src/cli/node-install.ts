/** `fleetcron node install`: puts the agent on hosts over SSH. */
import { readFile, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { AppError, asError, isCode } from "fleetcron-shared/base/errors";
import { sshEnvironment } from "fleetcron-shared/ssh/environment";
import { resolveHost } from "fleetcron-shared/ssh/host-config";
import { checkAgentConfig, configFromFile, configFromWishes, OPTIONS } from "../install/agent-yaml.ts";
import { openBundle } from "../install/bundle.ts";
import { type Installed, type InstallWishes, installOn } from "../install/install-host.ts";
import type { HostResult } from "../install/on-host.ts";
import { parsePairs } from "./arguments.ts";
import type { Context } from "./context.ts";
import { onHosts, showResults } from "./on-hosts.ts";
import type { Column } from "./output.ts";
import { isServerGiven } from "./settings.ts";
import { type AccessOptions, checkHosts, readAccess } from "./ssh-access.ts";

export type InstallOptions = AccessOptions & {
  readonly etcd?: readonly string[];
  readonly id?: string;
  readonly label?: readonly string[];
  readonly config?: string;
  readonly force?: boolean;
  readonly nodeBinary?: string;
  readonly parallel: number;
  readonly start: boolean;
  readonly wait: boolean;
};

/** How long a node that is ready may take to be seen by the masters. */
const ONLINE_WITHIN_MS = 30_000;
const POLL_MS = 200;

export async function installNodes(context: Context, hosts: readonly string[], options: InstallOptions): Promise<void> {
  checkHosts(hosts);
  const { io } = context;
  const config = await readWishes(context, hosts, options);
  const hasMaster = await isServerGiven(io, context.options());
  const masterEtcd = config === undefined && hasMaster ? (await (await context.api()).info()).etcd.endpoints : undefined;
  const access = await readAccess(context, options);
  const agentFolder = await realpath(dirname(fileURLToPath(import.meta.resolve("fleetcron-agent/package.json"))));
  const bundle = await openBundle(agentFolder, options.nodeBinary === undefined ? io.nodePath : resolve(io.cwd, options.nodeBinary));
  const notes: string[] = [];
  const untilOnline = async (host: string, node: string) => {
    const note = await seenByMaster(context, host, node, bundle.version);
    if (note !== undefined) notes.push(note);
  };

  const results = await onHosts(context, hosts, { access, parallel: options.parallel }, (deps, remote, host) => {
    const knownEtcd = masterEtcd === undefined || !reaches(context, host, masterEtcd) ? undefined : masterEtcd;
    const wishes: InstallWishes = { ...access, config, knownEtcd, force: options.force === true, start: options.start, wait: options.wait };
    return installOn({ ...deps, bundle, agentFolder, ...(hasMaster ? { untilOnline } : {}) }, wishes, remote, host);
  });
  const isFar = (host: string) => config !== undefined && "etcd" in config && !reaches(context, host, config.etcd);
  for (const { host } of results.filter((result) => "value" in result && isFar(result.host)))
    notes.push(`${host} looks for etcd on itself: ${options.etcd?.join(", ")} is an address of each host's own`);
  await showResults(context, results, COLUMNS);
  for (const note of [...notes, ...results.flatMap(notesOf)]) io.err(`note: ${note}\n`);
}

/** Settings from the options, checked before any host is touched; undefined: none were given. */
async function readWishes({ io }: Context, hosts: readonly string[], options: InstallOptions): Promise<InstallWishes["config"]> {
  const { etcd, id, label, config: file } = options;
  if (file !== undefined) {
    if (etcd !== undefined || id !== undefined || label !== undefined)
      throw new AppError("input/usage", "--config leaves nothing for --etcd, --id and --label", {
        hint: "put etcd, nodeId and labels into the file",
      });
    const path = resolve(io.cwd, file);
    const text = await readFile(path, "utf8").catch((cause: unknown) => {
      throw new AppError("input/unreadable", `${file} cannot be read: ${asError(cause).message}`, { cause });
    });
    checkAgentConfig(text, file);
    checkAgentConfig(configFromFile(text, "/"), file);
    return { text, file };
  }
  if (id !== undefined && hosts.length > 1) throw new AppError("input/usage", "--id is for a single host: each node has an id of its own");
  if (etcd === undefined && (id !== undefined || label !== undefined))
    throw new AppError("input/usage", "--id and --label need --etcd", {
      hint: "the options are the node's whole settings: give all that it should have",
    });
  if (etcd === undefined) return undefined;
  const wishes = { etcd, ...(id === undefined ? {} : { nodeId: id }), labels: parsePairs(label ?? [], "--label") };
  checkAgentConfig(configFromWishes(wishes, "/"), OPTIONS);
  return wishes;
}

/** False: the address means each host itself, and the host is another one. */
function reaches(context: Context, host: string, etcd: readonly string[]): boolean {
  const isLocal = (name: string) => name === "localhost" || name === "::1" || name === "[::1]" || /^127\./.test(name);
  const hostOf = (url: string) => URL.parse(url.includes("://") ? url : `http://${url}`)?.hostname ?? "";
  return !etcd.some((url) => isLocal(hostOf(url))) || isLocal(resolveHost(sshEnvironment(context.io.env), host).host);
}

/** Waits until a master says that the node is online; a master that cannot be asked is a note, because the agent has said that it is ready. */
async function seenByMaster(context: Context, host: string, id: string, version: string): Promise<string | undefined> {
  const { clock } = context;
  const api = await context.api();
  for (const end = clock.mono() + ONLINE_WITHIN_MS; ; await clock.sleep(POLL_MS)) {
    try {
      const node = await api.node(id);
      if (node.online && node.version === version) return undefined;
    } catch (thrown) {
      if (!isCode(thrown, "node/not-found"))
        return `${host}: the agent ${id} is ready; the master could not be asked: ${asError(thrown).message}`;
    }
    if (clock.mono() > end)
      throw new AppError("wait/timeout", `${host}: the agent ${id} is ready, but the master at ${api.server} does not see it`, {
        hint: "is that master on the same etcd and prefix as the agent?",
      });
  }
}

const COLUMNS: readonly Column<HostResult<Installed>>[] = [
  { title: "NODE", cell: (result) => ("value" in result ? (result.value.node ?? "-") : "-") },
  { title: "RESULT", cell: (result) => ("value" in result ? result.value.state : "failed") },
  { title: "RELEASE", cell: (result) => ("value" in result ? result.value.release : "-") },
  { title: "AT", cell: (result) => ("value" in result ? result.value.prefix : "-") },
  {
    title: "STARTED BY",
    cell: (result) => ("value" in result ? (result.value.manager === "systemd" ? "systemd" : "fleetcron-agent-ctl") : "-"),
  },
  { title: "AFTER REBOOT", cell: (result) => ("value" in result ? result.value.afterReboot : "-") },
];

function notesOf(result: HostResult<Installed>): string[] {
  if ("error" in result || result.value.afterReboot !== "nothing" || result.value.manager === "systemd") return [];
  const { prefix } = result.value;
  return [
    `${result.host} has neither systemd nor a crontab for this user: after a reboot run \`${prefix}/fleetcron-agent-ctl start\` there`,
  ];
}
