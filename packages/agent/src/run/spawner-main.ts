/**
 * The spawner helper: a small process of its own that starts, watches and ends the agent's processes. Forking copies the page tables of the parent, so it
 * must stay small: it imports nothing but Node's own modules and what is written for it. It lives as long as its socket (fd 3) to the agent: when that
 * closes, it ends every process tree and exits. Signals meant for a whole service are ignored; etcd is unknown here.
 */
import { closeSync, readdirSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { systemClock } from "fleetcron-shared/base/clock";
import { openHost } from "./spawner/host.ts";
import { createLineDecoder, encodeLine, type ToSpawner } from "./spawner-protocol.ts";

/** The longest grace that processes get when the agent is gone. */
const ORPHAN_GRACE_MS = 5000;
/** Linux' O_CLOEXEC, as in /proc/<pid>/fdinfo. */
const CLOSE_ON_EXEC = 0o2000000;

/** Closes what came along from whoever started the agent: processes must get their three descriptors and nothing else. */
function closeInherited(): void {
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    if (fd <= 3) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // Gone already: the descriptor of the listing itself.
    }
  }
}

function main(): void {
  closeInherited();
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  const decode = createLineDecoder<ToSpawner>();
  let leashed = true;
  const exitWhenDone = () => {
    if (!leashed && host.size === 0) process.exit(0);
  };
  const host = openHost({
    clock: systemClock,
    send: (text) => {
      if (leashed) socket.write(text);
    },
    onIdle: exitWhenDone,
  });
  const agentGone = () => {
    if (!leashed) return;
    leashed = false;
    host.endAll("agent", "the agent is gone", ORPHAN_GRACE_MS);
    exitWhenDone();
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    for (const message of decode(text)) host.receive(message);
  });
  socket.on("error", agentGone);
  socket.on("close", agentGone);
  socket.on("end", agentGone);
  socket.write(encodeLine({ t: "ready" }));
}

main();
