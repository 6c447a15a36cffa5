/**
 * The spawner: a small process of its own that starts, watches and ends the agent's processes, and outlives the agent: the next agent finds it by its socket and
 * hears from it how everything ended meanwhile. It imports nothing but Node's own modules, koffi and what is written for it; etcd is unknown here. Signals meant
 * for a whole service are ignored. It goes when no agent needs it and nothing runs.
 */
import { closeSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { findCgroupBase, openCgroups } from "./cgroups.ts";
import { openHost } from "./host.ts";
import { openKillPoints } from "./kill-points.ts";
import { openLibc } from "./libc.ts";
import { Logbook } from "./logbook.ts";
import { createLineDecoder, encodeLine, PROTOCOL, type ToSpawner } from "./protocol.ts";
import { socketAddress } from "./socket-address.ts";

/** How long a spawner with nothing to do waits for the next agent. */
const LINGER_MS = 5000;
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

/** `folder` holds the socket `<name>.sock` and the logbook `<name>.runs`. Says `ready` on standard output once it listens. */
function main(folder: string, name: string, version: string, cgroup: string): void {
  closeInherited();
  const clock = systemClock;
  const libc = openLibc();
  libc.becomeSubreaper();
  const logbook = new Logbook(join(folder, `${name}.runs`), readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  const host = openHost({
    clock,
    libc,
    logbook,
    cgroups: openCgroups(cgroup === "off" ? undefined : findCgroupBase()),
    passPoint: openKillPoints(process.env.FLEETCRON_KILL_AT),
    ownPid: process.pid,
    warn: (message) => process.stderr.write(`${message}\n`),
    onChanged: goIfDone,
  });
  let agent: Socket | undefined;
  let isRetired = false;
  let cancelLinger = () => {};

  function goIfDone(): void {
    cancelLinger();
    if (agent !== undefined && !isRetired) return;
    if (host.running > 0 || (agent !== undefined && host.unnoted > 0)) return;
    if (isRetired) go();
    else cancelLinger = clock.after(LINGER_MS, go);
  }

  function go(): void {
    server.close();
    address.close();
    logbook.close({ keep: host.unnoted > 0 });
    process.exit(0);
  }

  function serve(socket: Socket): void {
    agent?.destroy();
    agent = socket;
    const decode = createLineDecoder<ToSpawner>();
    const gone = () => {
      if (agent !== socket) return;
      agent = undefined;
      host.connect(undefined);
      goIfDone();
    };
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      for (const message of decode(text)) {
        if (message.t === "retire") isRetired = true;
        host.receive(message);
      }
      if (isRetired) goIfDone();
    });
    socket.on("error", gone);
    socket.on("close", gone);
    socket.on("end", gone);
    cancelLinger();
    const runs = host.connect((text) => socket.write(text));
    socket.write(encodeLine({ t: "hello", protocol: PROTOCOL, version, runs }));
  }

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  process.on("SIGCHLD", host.reap);
  const address = socketAddress(folder, `${name}.sock`);
  const server = createServer(serve);
  server.listen(address.path, () => writeSync(1, "ready\n"));
  // Nobody may come: the agent that started us can have died.
  goIfDone();
}

const [, , folder = "", name = "", version = "", cgroup = ""] = process.argv;
main(folder, name, version, cgroup);
