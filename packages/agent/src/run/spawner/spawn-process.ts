/** One fork and exec: its own session and process group, exactly the given environment, output straight into the log file. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { StartSpec } from "../spawner-protocol.ts";
import { describeStartFailure } from "./failure.ts";
import { wrapCommand } from "./wrap.ts";

/**
 * The child, or the words why there is none. A child without a pid has failed too: its `error` event tells why.
 * `nullFd` is an open /dev/null. The umask is the process's own while it forks: nothing else runs in between.
 */
export function spawnProcess(spec: StartSpec, nullFd: number): { child: ChildProcess } | { failed: string } {
  let step: "log" | "stdin" | "spawn" = "log";
  let log: number | undefined;
  let stdin: number | undefined;
  let umask: number | undefined;
  try {
    log = openSync(spec.logPath, "a", 0o640);
    step = "stdin";
    if (spec.stdinPath !== undefined) stdin = openSync(spec.stdinPath, "r");
    step = "spawn";
    const { argv, ...ids } = wrapCommand(spec);
    const [file = "", ...args] = argv;
    if (spec.umask !== undefined) umask = process.umask(spec.umask);
    return { child: spawn(file, args, { ...ids, cwd: spec.cwd, env: spec.env, detached: true, stdio: [stdin ?? nullFd, log, log] }) };
  } catch (error) {
    return { failed: describeStartFailure(error, step, spec) };
  } finally {
    if (umask !== undefined) process.umask(umask);
    if (log !== undefined) closeSync(log);
    if (stdin !== undefined) closeSync(stdin);
  }
}
