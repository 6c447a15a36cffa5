/**
 * The outside of a program that outlives the agent: a unix socket that the next agent finds, a logbook, and its own end when no agent needs it and nothing runs.
 * Signals meant for a whole service are ignored. Only Node's own modules and what is written for it; etcd is unknown here.
 */
import { readFileSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { Logbook } from "./logbook.ts";
import { createLineDecoder, encodeLine, PROTOCOL, type RunKind, type RunState, type ToSpawner } from "./protocol.ts";
import { socketAddress } from "./socket-address.ts";

/** How long one with nothing to do waits for the next agent. */
const LINGER_MS = 5000;

/** All runs of one spawner or session host. */
export type Host = {
  receive(message: ToSpawner): void;
  /** Another agent has connected (or none is): `send` takes whole lines from now on. Returns what runs and what has ended. */
  connect(send: ((text: string) => void) | undefined): readonly RunState[];
  /** Runs that have not ended, and ends that no agent has noted. */
  readonly running: number;
  readonly unnoted: number;
};

export type Served = {
  readonly logbook: Logbook;
  readonly warn: (message: string) => void;
  /** Call it after each change of `running` and `unnoted`. */
  readonly onChanged: () => void;
};

/** Serves `<folder>/<name>.sock`, with the logbook `<name>.runs`. Says `ready` on standard output once it listens, and calls `exit` when it is of no more use. */
export function serve<H extends Host>(
  clock: Clock,
  at: { folder: string; name: string; version: string; kind: RunKind; exit: () => void },
  openHost: (served: Served) => H,
): H {
  const { folder, name, version, kind, exit } = at;
  const logbook = new Logbook(join(folder, `${name}.runs`), readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  const host = openHost({ logbook, warn: (message) => void process.stderr.write(`${message}\n`), onChanged: goIfDone });
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
    // On a full disk these ends are known to nobody else: wait for room, or for an agent.
    if (host.unnoted > 0 && !logbook.settle()) {
      cancelLinger = clock.after(LINGER_MS, goIfDone);
      return;
    }
    server.close();
    address.close();
    logbook.close({ keep: host.unnoted > 0 });
    exit();
  }

  function meet(socket: Socket): void {
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
    socket.write(encodeLine({ t: "hello", protocol: PROTOCOL, version, kind, runs }));
  }

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  const address = socketAddress(folder, `${name}.sock`);
  const server = createServer(meet);
  server.listen(address.path, () => writeSync(1, "ready\n"));
  // Nobody may come: the agent that started us can have died.
  goIfDone();
  return host;
}
