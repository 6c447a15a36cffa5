/**
 * What an `up` that was killed may have left: its children, each noted with its start time (a reused pid is somebody else's), and executions, which outlive
 * their agents. The next `up` on the folder ends the children before it starts its own; executions of nodes that it starts too are taken over by these agents,
 * those of other nodes are ended. At its own end it leaves none.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type ChildSpec, startChild } from "./child.ts";
import type { Context } from "./context.ts";

const FILE = "up.children";
const GRACE_MS = 15_000;
const POLL_MS = 50;

/** The notes of one data folder. */
export function openChildNotes(dataDir: string) {
  const path = join(dataDir, FILE);
  const left = (): number[] =>
    (existsSync(path) ? readFileSync(path, "utf8") : "").split("\n").flatMap((line) => {
      const [pid, startTicks] = line.split(" ").map(Number);
      return pid && startTicks !== undefined && startTicksOf(pid) === startTicks ? [pid] : [];
    });
  return {
    note(pid: number | undefined): void {
      if (pid !== undefined) appendFileSync(path, `${pid} ${startTicksOf(pid) ?? ""}\n`, { mode: 0o600 });
    },
    /** Ends the children that are noted and still there: SIGTERM, later SIGKILL. */
    async endLeft({ clock, io }: Pick<Context, "clock" | "io">): Promise<void> {
      const all = left();
      if (all.length > 0) io.err(`an earlier \`fleetcron up\` was killed; what it left is ended first: ${all.join(" ")}\n`);
      // One that is stopped takes SIGTERM only when it goes on.
      for (const pid of all) for (const name of ["SIGTERM", "SIGCONT"] as const) signal(pid, name);
      for (const giveUpAt = clock.mono() + GRACE_MS; left().length > 0; await clock.sleep(POLL_MS))
        if (clock.mono() > giveUpAt) for (const pid of left()) signal(pid, "SIGKILL");
      rmSync(path, { force: true });
    },
    remove: () => rmSync(path, { force: true }),
  };
}

/** The data folders of agents in which executions may be left: those with a spawner's socket. */
export function nodesLeft(dataDir: string): string[] {
  const agents = join(dataDir, "agents");
  if (!existsSync(agents)) return [];
  return readdirSync(agents).filter((node) => {
    const folder = join(agents, node, "spawner");
    return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".sock"));
  });
}

/** Ends the executions in an agent's data folder, whose agent is not there; `spec` starts it. */
export async function endExecutions({ clock }: Pick<Context, "clock">, spec: ChildSpec): Promise<void> {
  const args = [...spec.args, "--end-executions"];
  await startChild({ clock }, { ...spec, args }, []).ended;
}

/** The 20th field after the name, which may hold anything. Undefined for what has ended. */
function startTicksOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}
