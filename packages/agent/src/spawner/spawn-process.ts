/** One start: its own session, exactly the given environment, user and limits, output straight into the log file. */
import { closeSync, openSync } from "node:fs";
import { describeStartFailure } from "./failure.ts";
import type { Libc } from "./libc.ts";
import type { StartSpec } from "./protocol.ts";
import { wrapCommand } from "./wrap.ts";

const NOEXEC_SHELL = "/bin/sh";

/**
 * The pid, or the words why there is none. `nullFd` is an open /dev/null; `options.cgroup` is a folder that the process must enter before it begins.
 * The umask is this process's own meanwhile: nothing else runs in between.
 */
export function spawnProcess(
  deps: { libc: Libc; nullFd: number },
  spec: StartSpec,
  options: { cgroup: string | undefined; timerSlackNs: number | undefined },
): { pid: number } | { failed: string } {
  const { libc, nullFd } = deps;
  let step: "log" | "stdin" | "spawn" = "log";
  const opened: number[] = [];
  const open = (path: string, flags: string) => {
    const fd = openSync(path, flags, 0o640);
    opened.push(fd);
    return fd;
  };
  let umask: number | undefined;
  try {
    const stdout = open(spec.logPath, "a");
    const stderr = spec.stderrPath === undefined ? stdout : open(spec.stderrPath, "a");
    step = "stdin";
    const stdin = spec.stdinPath === undefined ? nullFd : open(spec.stdinPath, "r");
    step = "spawn";
    const { file, argv, ids, nice } = wrapCommand(spec, options.cgroup);
    const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
    if ([...argv, ...env].some((text) => text.includes("\0"))) throw new Error("an argument or a variable holds a NUL character");
    const request = { file, argv, env, cwd: spec.cwd, stdin, stdout, stderr, timerSlackNs: options.timerSlackNs };
    if (spec.umask !== undefined) umask = process.umask(spec.umask);
    const spawn = () => spawnOrShell(libc, request);
    return { pid: ids === undefined && nice === undefined ? spawn() : libc.as({ ids, nice }, spawn) };
  } catch (error) {
    return { failed: describeStartFailure(error, step, spec) };
  } finally {
    if (umask !== undefined) process.umask(umask);
    for (const fd of opened) closeSync(fd);
  }
}

/** A script without `#!` is given to the shell, as shells and execvp do. */
function spawnOrShell(libc: Libc, request: Parameters<Libc["spawn"]>[0]): number {
  try {
    return libc.spawn(request);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOEXEC") throw error;
    return libc.spawn({ ...request, file: NOEXEC_SHELL, argv: [NOEXEC_SHELL, request.file, ...request.argv.slice(1)] });
  }
}
