/** `fleetcron-agent`: reads its settings, runs the agent until it is told to stop, and says what is wrong in words with the right exit code. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { Command, CommanderError } from "commander";
import { systemClock } from "fleetcron-shared/base/clock";
import { configNames, loadConfig, renderConfig } from "fleetcron-shared/base/config-file";
import { makeDataDir } from "fleetcron-shared/base/data-dir";
import { asAppError, asError, formatIssue } from "fleetcron-shared/base/errors";
import { openKillPoints } from "fleetcron-shared/base/kill-points";
import { createLog, type Log } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import { SECRET_SETTINGS } from "fleetcron-shared/base/settings";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { etcdOptionsOf } from "fleetcron-shared/store/etcd-options";
import { startAgent } from "./agent.ts";
import { type AgentConfig, agentConfig, agentSettings } from "./config.ts";
import { readHost } from "./host.ts";
import { endExecutions } from "./run/end-executions.ts";

// With 100,000 jobs a third of the memory would be young-generation space that V8 grew while they were loaded (docs/performance.md).
setFlagsFromString("--semi-space-growth-factor=1");

const ENV_PREFIX = "FLEETCRON_AGENT_";
const DEFAULT_FILE = "/etc/fleetcron/agent.yaml";

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

function createProgram(run: (flags: Record<string, unknown>) => Promise<void>): Command {
  const program = new Command("fleetcron-agent")
    .description("Fleetcron's agent: runs the jobs of this host when they are due.")
    .version(readVersion(), "-V, --version")
    .option("-c, --config <file>", `settings as YAML (default: ${DEFAULT_FILE} if it exists; or ${ENV_PREFIX}CONFIG)`)
    .option("--print-config", "print the effective settings, secrets masked, and exit")
    .option("--end-executions", "end what a stopped agent has left running in the data folder, and exit")
    .showHelpAfterError("(see fleetcron-agent --help)")
    .exitOverride();
  for (const [key, field] of Object.entries(agentSettings.shape)) {
    const { env, flag } = configNames(ENV_PREFIX, key);
    const takesMany = key === "etcd" || key === "labels";
    const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];
    const text = `${field.description ?? key} (${env})`;
    const name = key === "labels" ? "--label" : flag;
    if (takesMany) program.option(`${name} <value>`, text, collect);
    else program.option(`${name} <value>`, text);
  }
  program.addHelpText(
    "after",
    `\nEach setting is also a key of the configuration file. Exit codes: 0 stopped, 2 wrong settings or data folder, 4 the node id is taken, 6 etcd out of reach.`,
  );
  return program.action(async () => {
    const { label, ...flags } = program.opts<Record<string, unknown>>();
    await run({ ...flags, labels: label });
  });
}

async function runAgent(flags: Record<string, unknown>): Promise<void> {
  const settings = loadConfig({
    schema: agentSettings,
    file: typeof flags.config === "string" ? flags.config : undefined,
    defaultFile: DEFAULT_FILE,
    env: process.env,
    flags,
    envPrefix: ENV_PREFIX,
    program: "fleetcron-agent",
  });
  if (flags.printConfig === true) return void process.stdout.write(renderConfig(settings, SECRET_SETTINGS));
  makeDataDir(settings.dataDir, { mode: 0o755, program: "agent" });

  const log = createLog({ level: settings.logLevel, name: "fleetcron-agent" });
  if (flags.endExecutions === true) return endAll(agentConfig(settings), log);
  const kv = openEtcdKv(etcdOptionsOf(settings), { clock: systemClock });
  const own = { pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const passPoint = openKillPoints(process.env.FLEETCRON_KILL_AT);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stopped.resolve());
  let reload = () => {};
  process.on("SIGHUP", () => reload());
  try {
    const agent = await startAgent(
      { kv, clock: systemClock, random: systemRandom, log, version: readVersion(), own, env: process.env, passPoint },
      agentConfig(settings),
    );
    reload = agent.reload;
    if (settings.readyFile !== undefined) writeReadyFile(settings.readyFile, { node: agent.nodeId, pid: process.pid });
    await Promise.race([stopped.promise, agent.failed]).catch(async (thrown: unknown) => {
      await agent.stop();
      throw thrown;
    });
    log.info({ node: agent.nodeId }, "agent is stopping");
    await agent.stop();
  } finally {
    await kv.close();
  }
}

async function endAll({ dataDir, cgroup }: AgentConfig, log: Log): Promise<void> {
  const version = readVersion();
  const { bootId } = readHost(version);
  const count = await endExecutions({ clock: systemClock, log }, { dataDir, cgroup, version, bootId });
  process.stdout.write(`${count} ended; the next agent on ${dataDir} records how\n`);
}

/** Written whole or not at all. */
function writeReadyFile(path: string, content: object): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(content)}\n`);
  renameSync(`${path}.tmp`, path);
}

try {
  await createProgram(runAgent).parseAsync();
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? 0 : 2;
  else {
    const error = asAppError(thrown);
    process.stderr.write(`fleetcron-agent: ${error.message}${error.hint === undefined ? "" : `\n  ${error.hint}`}\n`);
    for (const issue of error.issues) process.stderr.write(`  ${formatIssue(issue)}\n`);
    if (error.code === "internal/bug") process.stderr.write(`${asError(error.cause ?? error).stack}\n`);
    process.exitCode = error.row.exit;
  }
}
// Whatever still waits (for a tick's turn, for etcd) has its place in the journal.
process.exit();
