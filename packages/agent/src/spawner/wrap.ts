/**
 * Which program is started so that the command has what it asks for. Root gives user, groups and priority by itself (libc.ts); limits, and a cgroup that must
 * hold from the first instruction, need a small shell in between, and `nice` needs coreutils' when the agent is not root.
 */
import { accessSync, constants, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Ids } from "./libc.ts";
import type { StartSpec } from "./protocol.ts";

/** Where wrappers are looked up: never in the job's own PATH, they run with the agent's rights. */
const SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
/** What execvp searches when the environment has no PATH. */
const DEFAULT_PATH = "/bin:/usr/bin";
const SHELL = "/bin/sh";
/** Between the kernel's warning (SIGXCPU) and its KILL. */
const CPU_GRACE_SECONDS = 5;

export type Wrapped = {
  readonly file: string;
  readonly argv: readonly string[];
  readonly ids?: Ids | undefined;
  readonly nice?: number | undefined;
};

/** Throws an Error with `code` when the program cannot be found, and one with words when a wrapper is missing on this host. */
export function wrapCommand(spec: StartSpec, cgroup: string | undefined, isRoot: boolean = process.geteuid?.() === 0): Wrapped {
  const { argv, ids, nice, limits } = spec;
  const file = locate(argv[0] ?? "", spec);
  const steps: string[] = [];
  if (cgroup !== undefined) steps.push(`echo $$ > '${cgroup}/cgroup.procs'`);
  if (limits?.nofile !== undefined) steps.push(`ulimit -n ${limits.nofile}`);
  if (limits?.memoryBytes !== undefined && cgroup === undefined) steps.push(`ulimit -v ${Math.ceil(limits.memoryBytes / 1024)}`);
  if (limits?.cpuSeconds !== undefined)
    steps.push(`ulimit -St ${limits.cpuSeconds}`, `ulimit -Ht ${limits.cpuSeconds + CPU_GRACE_SECONDS}`);
  if (steps.length === 0 && (nice === undefined || isRoot)) return { file, argv, ids, nice };
  // The shell would only exit with 127: find out before, so that it is a failed start and not an exit code.
  const kind = executable(resolve(spec.cwd, file));
  if (kind !== "found") throw codeError(kind);
  const wrapper: string[] = [];
  if (nice !== undefined && !isRoot) wrapper.push(systemProgram("nice"), "-n", String(nice));
  if (ids !== undefined) wrapper.push(systemProgram("setpriv"), `--reuid=${ids.uid}`, `--regid=${ids.gid}`, groupsFlag(ids), "--");
  const script = [...steps, 'exec "$@"'].join(" && ");
  // The program by its path, because nobody searches PATH again with the job's own environment in mind.
  return { file: SHELL, argv: [SHELL, "-c", script, "fleetcron", ...wrapper, file, ...argv.slice(1)], nice: isRoot ? nice : undefined };
}

function groupsFlag(ids: Ids): string {
  return ids.groups.length === 0 ? "--clear-groups" : `--groups=${ids.groups.join(",")}`;
}

/** The path that execvp would start. */
function locate(name: string, spec: StartSpec): string {
  const found = findProgram(name, spec);
  if (typeof found !== "string") return found.path;
  throw codeError(found);
}

function codeError(kind: "missing" | "notExecutable"): Error {
  const code = kind === "missing" ? "ENOENT" : "EACCES";
  return Object.assign(new Error(code), { code });
}

/** Whether execvp would find the program, as seen by the agent's user; names with a slash are left to the kernel. */
export function findProgram(
  name: string,
  where: { cwd: string; env: Readonly<Record<string, string>> },
): { readonly path: string } | "missing" | "notExecutable" {
  if (name.includes("/")) return { path: name };
  let answer: "missing" | "notExecutable" = "missing";
  for (const folder of name === "" ? [] : (where.env.PATH ?? DEFAULT_PATH).split(":")) {
    const path = resolve(where.cwd, join(folder, name));
    const kind = executable(path);
    if (kind === "found") return { path };
    if (kind === "notExecutable") answer = kind;
  }
  return answer;
}

/** What is at a path, as seen by the agent's user. */
export function executable(path: string): "found" | "missing" | "notExecutable" {
  try {
    if (!statSync(path).isFile()) return "notExecutable";
    accessSync(path, constants.X_OK);
    return "found";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "notExecutable" : "missing";
  }
}

function systemProgram(name: string): string {
  const path = SYSTEM_PATH.split(":")
    .map((folder) => `${folder}/${name}`)
    .find((candidate) => executable(candidate) === "found");
  if (path === undefined)
    throw new Error(`the program "${name}", which sets what the job asks for, is not installed on this host (looked in ${SYSTEM_PATH})`);
  return path;
}
