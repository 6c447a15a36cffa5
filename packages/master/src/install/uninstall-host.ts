/** Removes from one host what an installation made. What the agent runs is not ended unless that was asked for; its data stay unless they are to go. */
import { dataDirOf, isOurs } from "./agent-yaml.ts";
import { findWorkplace, readFacts } from "./host-facts.ts";
import type { HostAccess, HostDeps } from "./on-host.ts";
import type { Remote } from "./remote.ts";

export type UninstallWishes = HostAccess & { readonly stopExecutions: boolean; readonly purge: boolean };

export type Uninstalled = {
  readonly state: "removed" | "notThere";
  readonly prefix: string;
  readonly node?: string;
  /** The agent's data folder, when it is still there. */
  readonly dataDir?: string;
  /** Records that etcd has not got; they are in the data folder. */
  readonly undelivered: number;
  /** The configuration, when somebody had edited it. */
  readonly kept?: string;
};

export async function uninstallFrom(deps: HostDeps, wishes: UninstallWishes, remote: Remote, host: string): Promise<Uninstalled> {
  deps.onStep(host, "looking at the host");
  const workplace = await findWorkplace(remote, host, wishes.prefix);
  const { places, asRoot } = workplace;
  const facts = await readFacts(remote, workplace, "/");
  const { prefix, config, ctl } = places;
  if (facts.current === undefined && facts.releases.length === 0) return { state: "notThere", prefix, undelivered: 0 };
  // Another installation's unit, or one that somebody made by hand, is not touched.
  const unit = facts.unit?.startsWith(`${prefix} `) === true ? places.unit : "";
  const dataDir = dataDirOf(facts.config, places.dataDir);

  deps.onStep(host, "stopping the agent");
  const how = wishes.stopExecutions ? "end" : "refuse";
  const stopVars = { prefix, dataDir, config, ctl, unit, how, purge: wishes.purge ? "yes" : "no" };
  const { values } = await remote.run({ step: "stopping the agent", script: "stop", vars: stopVars }, asRoot);
  const undelivered = Number(values.outbox ?? 0);

  deps.onStep(host, "removing");
  const ours = facts.config !== undefined && isOurs(facts.config);
  const vars = { prefix, config, ctl, unit, removeConfig: ours ? "yes" : "no", purge: wishes.purge ? dataDir : "" };
  await remote.run({ step: "removing", script: "remove", vars }, asRoot);
  return {
    state: "removed",
    prefix,
    undelivered,
    ...(facts.ready === undefined ? {} : { node: facts.ready.node }),
    ...(wishes.purge ? {} : { dataDir }),
    ...(facts.config === undefined || ours ? {} : { kept: config }),
  };
}
