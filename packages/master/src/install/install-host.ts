/**
 * Installs the agent on one host. Nothing changes there before the new release is whole and has been run once; then one script switches and restarts, to its end even
 * when the connection is lost. What is right already is left alone.
 */
import { AppError } from "fleetcron-shared/base/errors";
import { type AgentWishes, checkAgentConfig, configFromFile, configFromWishes, dataDirOf, isOurs, OPTIONS } from "./agent-yaml.ts";
import type { Bundle } from "./bundle.ts";
import { checkHost, findWorkplace, type HostFacts, readFacts, readyOf, type Workplace } from "./host-facts.ts";
import type { HostAccess, HostDeps } from "./on-host.ts";
import type { Remote } from "./remote.ts";
import { ctlFile, type ServiceFile, unitFile } from "./service.ts";

export type InstallWishes = HostAccess & {
  /** The agent's settings: from options, or a file's text; undefined: those on the host stay. */
  readonly config: AgentWishes | { readonly text: string; readonly file: string } | undefined;
  /** For a host that has no settings yet, when none were given. */
  readonly knownEtcd: readonly string[] | undefined;
  readonly force: boolean;
  readonly start: boolean;
  readonly wait: boolean;
};

export type InstallDeps = HostDeps & {
  readonly bundle: Bundle;
  /** The agent's package here. */
  readonly agentFolder: string;
  /** Resolves when the masters see the node; absent: nobody to ask. */
  readonly untilOnline?: (host: string, node: string) => Promise<void>;
};

export type Installed = {
  readonly state: "installed" | "upgraded" | "changed" | "started" | "unchanged";
  readonly release: string;
  /** The release before. */
  readonly from?: string;
  readonly prefix: string;
  readonly config: string;
  readonly manager: "systemd" | "ctl";
  /** What starts the agent after a reboot of the host. */
  readonly afterReboot: "systemd" | "cron" | "nothing";
  /** Known when the agent was waited for, or was running already. */
  readonly node?: string;
  readonly bytesSent: number;
};

const READY_SECONDS = "60";

export async function installOn(deps: InstallDeps, wishes: InstallWishes, remote: Remote, host: string): Promise<Installed> {
  const { bundle } = deps;
  deps.onStep(host, "looking at the host");
  const workplace = await findWorkplace(remote, host, wishes.prefix);
  const { places } = workplace;
  const facts = await readFacts(remote, workplace, bundle.node.interpreter ?? "/");
  checkHost(host, bundle, workplace, facts);
  const config = chooseConfig(host, wishes, workplace, facts);
  const service = facts.manager === "systemd" ? unitFile(deps.agentFolder, places) : ctlFile(places);

  const isSame =
    facts.current === bundle.name && config === undefined && service.mark === (facts.manager === "systemd" ? facts.unit : facts.ctl);
  const done = {
    release: bundle.name,
    prefix: places.prefix,
    config: places.config,
    manager: facts.manager,
    bytesSent: 0,
    ...(facts.ready === undefined ? {} : { node: facts.ready.node }),
  };
  const usualReboot = facts.manager === "systemd" ? "systemd" : facts.hasCrontab ? "cron" : "nothing";
  if (isSame && ((facts.isActive && facts.ready !== undefined) || !wishes.start))
    return { ...done, state: "unchanged", afterReboot: usualReboot };

  const bytesSent = facts.releases.includes(bundle.name) ? 0 : await upload(deps, remote, workplace, host);
  const plan = {
    host,
    facts,
    workplace,
    service,
    start: wishes.start,
    config,
    setAside: facts.config !== undefined && !isOurs(facts.config),
  };
  const { hasCron } = await activate(deps, remote, plan, bundle.name);
  const state = facts.current === undefined ? "installed" : facts.current !== bundle.name ? "upgraded" : isSame ? "started" : "changed";
  const from = state === "upgraded" && facts.current !== undefined ? { from: facts.current } : {};
  const afterReboot = !wishes.start ? "nothing" : facts.manager === "systemd" ? "systemd" : hasCron ? "cron" : "nothing";
  const base = { ...done, ...from, state, afterReboot, bytesSent } as const;
  if (!wishes.start || !wishes.wait) return base;

  const node = await untilReady(deps, remote, workplace, facts, host).catch((error: unknown) => goBack(deps, remote, plan, error));
  if (deps.untilOnline !== undefined) {
    deps.onStep(host, "waiting until the masters see it");
    await deps.untilOnline(host, node);
  }
  return { ...base, node };
}

type Plan = {
  readonly host: string;
  readonly facts: HostFacts;
  readonly workplace: Workplace;
  readonly service: ServiceFile;
  readonly start: boolean;
  /** Undefined: stays as it is. */
  readonly config: string | undefined;
  readonly setAside: boolean;
};

/** The text to write, or undefined when what is there stays. Throws `install/refused`, `config/invalid`. */
function chooseConfig(host: string, wishes: InstallWishes, { places }: Workplace, facts: HostFacts): string | undefined {
  const refuse = (why: string, hint: string) => new AppError("install/refused", `${host}: the agent's settings: ${why}`, { hint });
  const { config: there } = facts;
  const dataDir = dataDirOf(there, places.dataDir);
  const { config: wanted, knownEtcd } = wishes;
  if (wanted === undefined && there !== undefined) return undefined;
  if (wanted === undefined && knownEtcd === undefined)
    throw refuse("there are none yet, so it must be said where etcd is", "give --etcd URL, or --config FILE");
  const text =
    wanted !== undefined && "text" in wanted
      ? configFromFile(wanted.text, dataDir)
      : configFromWishes(wanted ?? { etcd: knownEtcd ?? [], labels: {} }, dataDir);
  checkAgentConfig(text, wanted !== undefined && "file" in wanted ? wanted.file : OPTIONS);
  if (text === there) return undefined;
  if (there === undefined || isOurs(there) || wishes.force) return text;
  throw refuse(
    `${places.config} differs from what was asked for, and was written by somebody else or edited since`,
    "leave the options for settings away to keep it, or replace it with --force (a copy stays beside it, with .before at its end)",
  );
}

async function upload({ bundle, onStep }: InstallDeps, remote: Remote, { asRoot, places }: Workplace, host: string): Promise<number> {
  onStep(host, "packing");
  const data = await bundle.archive();
  const total = data.reduce((sum, chunk) => sum + chunk.length, 0);
  const vars = { prefix: places.prefix, name: bundle.name };
  const mb = (bytes: number) => Math.round(bytes / 1e6);
  onStep(host, "uploading", `0 of ${mb(total)} MB`);
  const onSent = (bytes: number) => onStep(host, "uploading", bytes < total ? `${mb(bytes)} of ${mb(total)} MB` : "unpacking");
  await remote.run({ step: "uploading", script: "unpack", vars, data, onSent }, asRoot);
  return total;
}

async function activate(deps: InstallDeps, remote: Remote, plan: Plan, release: string): Promise<{ hasCron: boolean }> {
  const { host, facts, workplace, service, start } = plan;
  const { places, asRoot } = workplace;
  deps.onStep(host, start ? "starting" : "switching");
  const isUnit = facts.manager === "systemd";
  const vars = {
    ...{ prefix: places.prefix, name: release, manager: facts.manager, config: places.config, ctl: places.ctl, unit: places.unit },
    ...{ configText: plan.config ?? "", setAside: plan.setAside && plan.config !== undefined ? "yes" : "no" },
    ...{ start: start ? "yes" : "no", cron: start && facts.hasCrontab && !isUnit ? "yes" : "no" },
    ...{ unitText: isUnit ? service.text : "", ctlText: isUnit ? "" : service.text },
  };
  const { values } = await remote.run({ step: "starting", script: "activate", vars }, asRoot);
  return { hasCron: values.cron === "yes" };
}

/** The id of the node. Throws `install/refused` with what the agent says. */
async function untilReady(
  deps: InstallDeps,
  remote: Remote,
  { asRoot, places }: Workplace,
  facts: HostFacts,
  host: string,
): Promise<string> {
  deps.onStep(host, "waiting until the agent is ready");
  const vars = { prefix: places.prefix, manager: facts.manager, ctl: places.ctl, seconds: READY_SECONDS };
  const { values } = await remote.run({ step: "waiting for the agent", script: "wait-ready", vars }, asRoot);
  return readyOf(values.ready)?.node ?? "?";
}

/** A new version that does not get ready gives way to the one before, unless its settings have changed too. Always throws. */
async function goBack(deps: InstallDeps, remote: Remote, plan: Plan, error: unknown): Promise<never> {
  const { current } = plan.facts;
  const isUpgrade = current !== undefined && current !== deps.bundle.name && plan.config === undefined && plan.facts.isActive;
  if (!(error instanceof AppError) || error.code !== "install/refused" || !isUpgrade) throw error;
  await activate(deps, remote, plan, current);
  const isBack = await untilReady(deps, remote, plan.workplace, plan.facts, plan.host).then(
    () => "is ready again",
    () => "was started again, and does not get ready either",
  );
  throw new AppError(error.code, `${error.message}; ${current} ${isBack}`, error.hint === undefined ? {} : { hint: error.hint });
}
