/** A real agent process on a real etcd. */
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";

export type AgentOptions = {
  etcd: readonly string[];
  nodeId: string;
  folder: string;
  prefix?: string;
  sessionTtl?: string;
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
};

export function startAgentProcess(options: AgentOptions): Promise<Daemon> {
  const { etcd, nodeId, folder } = options;
  return startDaemon({
    program: "fleetcron-agent",
    name: `agent-${nodeId}`,
    folder,
    args: [
      ...["--etcd", etcd.join(","), "--node-id", nodeId, "--data-dir", join(folder, `data-${nodeId}`)],
      ...["--prefix", options.prefix ?? "/fleetcron", "--session-ttl", options.sessionTtl ?? "5s", ...(options.args ?? [])],
    ],
    ...(options.env === undefined ? {} : { env: options.env }),
  });
}
