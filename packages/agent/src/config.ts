/** The agent's settings: `/etc/fleetcron/agent.yaml`, FLEETCRON_AGENT_… and flags (see `fleetcron-agent --help`). */
import { availableParallelism } from "node:os";
import { parseDuration } from "fleetcron-shared/base/duration";
import { parseSize } from "fleetcron-shared/base/size";
import { expected } from "fleetcron-shared/base/zod-issues";
import { z } from "zod";

const duration = (fallback: string, minMs: number) =>
  z
    .string({ error: expected("a duration such as 10s") })
    .refine((text) => (parseDuration(text) ?? -1) >= minMs, { error: expected(`a duration of at least ${minMs} ms, such as ${fallback}`) })
    .default(fallback);

export const agentSettings = z.strictObject({
  etcd: z.array(z.string()).min(1).default(["http://127.0.0.1:2379"]).describe("etcd endpoints"),
  etcdCa: z.string().exactOptional().describe("file with the CA certificate of etcd"),
  etcdCert: z.string().exactOptional().describe("file with this agent's client certificate"),
  etcdKey: z.string().exactOptional().describe("file with the key of the client certificate"),
  etcdUser: z.string().exactOptional().describe("etcd user"),
  etcdPassword: z.string().exactOptional().describe("password of the etcd user"),
  prefix: z.string().default("/fleetcron").describe("prefix of all keys in etcd"),
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
  sessionTtl: duration("10s", 2000).describe("how long after its last sign of life this node counts as gone"),
  procThreshold: duration("500ms", 0).describe("executions shorter than this never show as running"),
  logRetention: duration("7d", 0).describe("how long logs that did not fit into their record are kept"),
  logSize: z
    .string()
    .refine((text) => parseSize(text) !== undefined, { error: expected("a size such as 1GiB") })
    .default("1GiB")
    .describe("how much disk such logs may take together"),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info").describe("debug, info, warn, error or silent"),
  readyFile: z.string().exactOptional().describe("file to write {node, pid} to once the agent is ready"),
});

export type AgentSettings = z.output<typeof agentSettings>;
/** The settings that must not be printed. */
export const SECRET_SETTINGS = ["etcdPassword"];

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
};

export function agentConfig(settings: AgentSettings): AgentConfig {
  return {
    prefix: settings.prefix,
    nodeId: settings.nodeId,
    labels: settings.labels,
    dataDir: settings.dataDir,
    capacity: settings.capacity,
    sessionTtlMs: parseDuration(settings.sessionTtl) ?? 0,
    procThresholdMs: parseDuration(settings.procThreshold) ?? 0,
    logRetentionMs: parseDuration(settings.logRetention) ?? 0,
    logBytes: parseSize(settings.logSize) ?? 0,
  };
}
