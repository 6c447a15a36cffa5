/** A real agent process on a real etcd. */
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { killSpawners } from "./spawners.ts";

export type AgentOptions = {
  etcd: readonly string[];
  nodeId: string;
  folder: string;
  prefix?: string;
  sessionTtl?: string;
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** A command that starts the agent, such as setpriv with its flags. */
  wrapper?: readonly string[];
  /** Another copy of the program (other-version.ts). */
  bin?: string;
};

export function startAgentProcess(options: AgentOptions): Promise<Daemon> {
  const { etcd, nodeId, folder } = options;
  const dataDir = join(folder, `data-${nodeId}`);
  return startDaemon({
    program: "fleetcron-agent",
    name: `agent-${nodeId}`,
    folder,
    args: [
      ...["--etcd", etcd.join(","), "--node-id", nodeId, "--data-dir", dataDir],
      ...["--prefix", options.prefix ?? "/fleetcron", "--session-ttl", options.sessionTtl ?? "5s", ...(options.args ?? [])],
    ],
    ...(options.wrapper === undefined ? {} : { wrapper: options.wrapper }),
    killRest: () => void killSpawners(join(dataDir, "spawner")),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.bin === undefined ? {} : { bin: options.bin }),
  });
}
