/** The agent's settings: `/etc/fleetcron/agent.yaml`, FLEETCRON_AGENT_… and flags (see `fleetcron-agent --help`). */
import { availableParallelism } from "node:os";
import { durationMs, durationSetting, etcdSettings, logLevelSetting } from "fleetcron-shared/base/settings";
import { parseSize } from "fleetcron-shared/base/size";
import { expected } from "fleetcron-shared/base/zod-issues";
import { z } from "zod";

export const agentSettings = z.strictObject({
  ...etcdSettings,
  nodeId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error: expected("letters, digits, dots, dashes and underscores, at most 63") })
    .exactOptional()
    .describe("this node's id; default: derived once from the machine id and kept in the data folder"),
  labels: z.record(z.string(), z.string()).default({}).describe("labels of this node, name=value"),
  dataDir: z.string().default("/var/lib/fleetcron-agent").describe("folder for the journal and the executions"),
  capacity: z
    .int()
    .min(1)
    .max(100_000)
    .default(Math.max(64, 16 * availableParallelism()))
    .describe("how many executions may run at once"),
  sessionTtl: durationSetting("10s", 2000).describe("how long after its last sign of life this node counts as gone"),
  procThreshold: durationSetting("500ms", 0).describe("executions shorter than this never show as running"),
  logRetention: durationSetting("7d", 0).describe("how long logs that did not fit into their record are kept"),
  logSize: z
    .string()
    .refine((text) => parseSize(text) !== undefined, { error: expected("a size such as 1GiB") })
    .default("1GiB")
    .describe("how much disk such logs may take together"),
  logRate: z
    .string()
    .refine((text) => (parseSize(text) ?? 0) >= 1024, { error: expected("a size of at least 1KiB, such as 1MiB") })
    .default("1MiB")
    .describe("how much of the logs that people look at this node may put into etcd per second"),
  minFreeDisk: z
    .string()
    .refine((text) => parseSize(text) !== undefined, { error: expected("a size such as 64MiB") })
    .default("64MiB")
    .describe("with less room than this in the data folder nothing new begins (0: no such limit)"),
  policyFile: z
    .string()
    .exactOptional()
    .describe("what this host lets jobs do (docs/policy.md); default: /etc/fleetcron/policy.yaml if it exists; read again on SIGHUP"),
  cgroup: z
    .enum(["auto", "off"], { error: expected("auto or off") })
    .default("auto")
    .describe("auto: each execution gets a cgroup where this host has cgroup v2 and lets the agent make some; off: never"),
  stopExecutions: z
    .enum(["true", "false"], { error: expected("true or false") })
    .default("false")
    .describe("true: when the agent is told to stop, what it runs is ended; else it goes on and the next agent takes it over"),
  metrics: z
    .string()
    .refine((text) => parseAddress(text) !== undefined, { error: expected("host:port such as 127.0.0.1:7801") })
    .exactOptional()
    .describe("host:port to serve /metrics and /healthz on, for Prometheus; default: not served"),
  logLevel: logLevelSetting,
  readyFile: z.string().exactOptional().describe("file to write {node, pid} to once the agent is ready"),
});

export type AgentSettings = z.output<typeof agentSettings>;

/** Settings as the agent computes with them. */
export type AgentConfig = {
  readonly prefix: string;
  readonly nodeId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly capacity: number;
  readonly sessionTtlMs: number;
  readonly procThresholdMs: number;
  readonly logRetentionMs: number;
  readonly logBytes: number;
  readonly logBytesPerSecond: number;
  readonly minFreeBytes: number;
  readonly cgroup: "auto" | "off";
  readonly stopExecutions: boolean;
  readonly policyFile: string | undefined;
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
};

export function agentConfig(settings: AgentSettings): AgentConfig {
  return {
    prefix: settings.prefix,
    nodeId: settings.nodeId,
    labels: settings.labels,
    dataDir: settings.dataDir,
    capacity: settings.capacity,
    sessionTtlMs: durationMs(settings.sessionTtl),
    procThresholdMs: durationMs(settings.procThreshold),
    logRetentionMs: durationMs(settings.logRetention),
    logBytes: parseSize(settings.logSize) ?? 0,
    logBytesPerSecond: parseSize(settings.logRate) ?? 0,
    minFreeBytes: parseSize(settings.minFreeDisk) ?? 0,
    cgroup: settings.cgroup,
    stopExecutions: settings.stopExecutions === "true",
    policyFile: settings.policyFile,
    metrics: settings.metrics === undefined ? undefined : parseAddress(settings.metrics),
  };
}

function parseAddress(text: string): { host: string; port: number } | undefined {
  const { v6, name, port } = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<name>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const host = v6 ?? name;
  return host === undefined || !(Number(port) <= 65_535) ? undefined : { host, port: Number(port) };
}
