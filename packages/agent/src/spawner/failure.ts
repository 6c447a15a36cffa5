/** A process that could not be started: the system's error in plain words, with the path it is about. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { StartSpec } from "./protocol.ts";
import { executable, findProgram } from "./wrap.ts";

/** Words for the `error` of a `spawnFailed` outcome. `step` says what was being done when it failed. */
export function describeStartFailure(thrown: unknown, step: "log" | "stdin" | "spawn", spec: StartSpec): string {
  const error: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (step === "log") return `the log file ${spec.logPath} cannot be opened: ${reason(error)}`;
  if (step === "stdin") return `the input file ${spec.stdinPath ?? "/dev/null"} cannot be opened: ${reason(error)}`;
  const program = spec.argv[0] ?? "";
  if (program === "") return "there is no program to start: the command is empty";
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
    case "EACCES":
      return cwdProblem(spec.cwd) ?? programProblem(program, spec) ?? `${program} cannot be started: ${reason(error)}`;
    case "EPERM":
      return spec.ids === undefined
        ? `${program} cannot be started: ${reason(error)}`
        : `the agent may not run a command as uid ${spec.ids.uid}, gid ${spec.ids.gid}: it does not run as root (EPERM)`;
    case "E2BIG":
      return `arguments and environment of ${program} are too long: ${textBytes(spec)} bytes together, and Linux allows 131072 in one of them (E2BIG)`;
    case "EAGAIN":
      return `${program} cannot be started: this host's limit of processes is reached (EAGAIN)`;
    case "EMFILE":
    case "ENFILE":
      return `${program} cannot be started: the limit of open files is reached (${error.code})`;
    case "ENOMEM":
      return `${program} cannot be started: this host is out of memory (ENOMEM)`;
    default:
      return error.code === undefined ? `${program} cannot be started: ${error.message}` : `${program} cannot be started: ${reason(error)}`;
  }
}

function cwdProblem(cwd: string): string | undefined {
  try {
    if (!statSync(cwd).isDirectory()) return `the working directory ${cwd} is not a directory (ENOTDIR)`;
    accessSync(cwd, constants.X_OK);
    return undefined;
  } catch (error) {
    return `the working directory ${cwd} cannot be entered: ${reason(error as NodeJS.ErrnoException)}`;
  }
}

function programProblem(program: string, spec: StartSpec): string | undefined {
  const path = findProgram(program, spec);
  switch (typeof path === "string" ? path : executable(resolve(spec.cwd, path.path))) {
    case "missing":
      return program.includes("/")
        ? `the program ${program} does not exist (ENOENT)`
        : `the program ${program} is not in PATH, ${spec.env.PATH ?? "which is not set"} (ENOENT)`;
    case "notExecutable":
      return `the program ${program} is not executable: a directory, or without the right to execute it (EACCES)`;
    case "found": {
      const interpreter = program.includes("/") ? interpreterOf(resolve(spec.cwd, program)) : undefined;
      if (interpreter !== undefined) return `the interpreter of ${program}, "${interpreter}" in its first line, cannot be started`;
      return spec.ids === undefined
        ? undefined
        : `the program ${program} cannot be started by uid ${spec.ids.uid}: no right to read or execute it, or a folder above it`;
    }
  }
}

function interpreterOf(path: string): string | undefined {
  try {
    const fd = openSync(path, "r");
    try {
      const buffer = Buffer.alloc(256);
      const text = buffer.toString("utf8", 0, readSync(fd, buffer));
      return text.startsWith("#!") ? text.slice(2).split("\n", 1)[0]?.trim() : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function reason(error: NodeJS.ErrnoException): string {
  const words: Record<string, string> = {
    ENOENT: "it does not exist",
    EACCES: "permission denied",
    EPERM: "not permitted",
    ENOTDIR: "a part of the path is not a directory",
    EISDIR: "it is a directory",
    ENOSPC: "the disk is full",
    EROFS: "the file system is read-only",
    ELOOP: "too many symbolic links",
  };
  const code = error.code;
  return code === undefined ? error.message : `${words[code] ?? "the system refused it"} (${code})`;
}

function textBytes(spec: StartSpec): number {
  let total = 0;
  for (const arg of spec.argv) total += Buffer.byteLength(arg) + 1;
  for (const [name, value] of Object.entries(spec.env)) total += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  return total;
}
