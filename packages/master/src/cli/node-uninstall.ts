/** `fleetcron node uninstall`: removes agents that `node install` put on hosts, and forgets their nodes. */
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { HostResult } from "../install/on-host.ts";
import { type Uninstalled, uninstallFrom } from "../install/uninstall-host.ts";
import type { Context } from "./context.ts";
import { onHosts, showResults } from "./on-hosts.ts";
import { isServerGiven } from "./settings.ts";
import { type AccessOptions, checkHosts, readAccess } from "./ssh-access.ts";

export type UninstallOptions = AccessOptions & { readonly stopExecutions?: boolean; readonly purge?: boolean; readonly parallel: number };
type Removed = Uninstalled & { readonly forgotten: boolean };

/** A node counts as online for a while after its agent has gone. */
const OFFLINE_WITHIN_MS = 30_000;
const POLL_MS = 300;

export async function uninstallNodes(context: Context, hosts: readonly string[], options: UninstallOptions): Promise<void> {
  checkHosts(hosts);
  const hasMaster = await isServerGiven(context.io, context.options());
  const access = await readAccess(context, options);
  const wishes = { ...access, stopExecutions: options.stopExecutions === true, purge: options.purge === true };
  const notes: string[] = [];
  const results = await onHosts<Removed>(context, hosts, { access, parallel: options.parallel }, async (deps, remote, host) => {
    const done = await uninstallFrom(deps, wishes, remote, host);
    if (done.node === undefined || done.state !== "removed") return { ...done, forgotten: false };
    if (!hasMaster) return { ...done, forgotten: false };
    deps.onStep(host, "forgetting the node");
    const why = await forget(context, done.node);
    if (why !== undefined)
      notes.push(`${host}: ${done.node} is still known to the masters: ${why}; \`fleetcron node forget ${done.node}\` drops it`);
    return { ...done, forgotten: why === undefined };
  });
  await showResults(context, results, [
    { title: "NODE", cell: (result) => ("value" in result ? (result.value.node ?? "-") : "-") },
    { title: "RESULT", cell: (result) => ("value" in result ? (result.value.state === "removed" ? "removed" : "not there") : "failed") },
    { title: "FROM", cell: (result) => ("value" in result ? result.value.prefix : "-") },
    { title: "DATA", cell: (result) => ("value" in result ? (result.value.dataDir ?? "-") : "-") },
    { title: "FORGOTTEN", cell: (result) => ("value" in result && result.value.forgotten ? "yes" : "no") },
  ]);
  for (const note of [...notes, ...results.flatMap((result) => notesOf(result, hasMaster))]) context.io.err(`note: ${note}\n`);
}

/** Undefined: the masters have forgotten it. Else why not. */
async function forget(context: Context, node: string): Promise<string | undefined> {
  const { clock } = context;
  for (const end = clock.mono() + OFFLINE_WITHIN_MS; ; await clock.sleep(POLL_MS)) {
    try {
      await (await context.api()).forgetNode(node);
      return undefined;
    } catch (thrown) {
      if (isCode(thrown, "node/not-found")) return undefined;
      if (!isCode(thrown, "node/online") || clock.mono() > end) return asError(thrown).message;
    }
  }
}

function notesOf(result: HostResult<Removed>, hasMaster: boolean): string[] {
  if ("error" in result || result.value.state !== "removed") return [];
  const { node, undelivered, dataDir, kept } = result.value;
  return [
    ...(kept === undefined ? [] : [`${result.host}: ${kept} was edited by somebody and is still there`]),
    ...(undelivered === 0 ? [] : [`${result.host}: ${undelivered} records have not reached etcd; they are in ${dataDir}`]),
    ...(hasMaster || node === undefined ? [] : [`no master is configured: \`fleetcron node forget ${node}\` drops the node there`]),
  ];
}
