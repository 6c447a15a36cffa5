/**
 * The spawner: a small process of its own that starts, watches and ends the agent's processes, and outlives the agent: the next agent finds it by its socket and
 * hears from it how everything ended meanwhile. It imports nothing but Node's own modules, koffi and what is written for it; etcd is unknown here.
 */
import { closeSync, readdirSync, readFileSync } from "node:fs";
import { systemClock } from "fleetcron-shared/base/clock";
import { openKillPoints } from "fleetcron-shared/base/kill-points";
import { findCgroupBase, openCgroups } from "./cgroups.ts";
import { openHost } from "./host.ts";
import { openLibc } from "./libc.ts";
import { serve } from "./serve.ts";

/** Linux' O_CLOEXEC, as in /proc/<pid>/fdinfo. */
const CLOSE_ON_EXEC = 0o2000000;

/** Closes what came along from whoever started the agent: processes must get their three descriptors and nothing else. */
function closeInherited(): void {
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // Gone already: the descriptor of the listing itself.
    }
  }
}

function main(folder: string, name: string, version: string, cgroup: string): void {
  closeInherited();
  const libc = openLibc();
  libc.becomeSubreaper();
  const host = serve(systemClock, { folder, name, version, kind: "processes", exit: () => process.exit(0) }, (served) =>
    openHost({
      ...served,
      clock: systemClock,
      libc,
      cgroups: openCgroups(cgroup === "off" ? undefined : findCgroupBase()),
      passPoint: openKillPoints(process.env.FLEETCRON_KILL_AT),
      ownPid: process.pid,
    }),
  );
  process.on("SIGCHLD", host.reap);
}

const [, , folder = "", name = "", version = "", cgroup = ""] = process.argv;
main(folder, name, version, cgroup);
