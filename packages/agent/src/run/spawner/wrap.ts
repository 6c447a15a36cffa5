/** What Node's spawn cannot do by itself, nice and supplementary groups, is done by coreutils' nice and util-linux' setpriv, only when asked for. */
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import type { StartSpec } from "../spawner-protocol.ts";

/** Where the wrappers are looked up: never in the job's own PATH, they run with the agent's rights. */
const SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
/** What execvp searches when the environment has no PATH. */
const DEFAULT_PATH = "/bin:/usr/bin";

/** The argv and ids that spawn gets. `spec.uid` and `spec.gid` stay with spawn unless setpriv sets them. */
export function wrapCommand(spec: StartSpec): { argv: readonly string[]; uid?: number; gid?: number } {
  const { argv, uid, gid, nice } = spec;
  const groups = (spec.groups ?? []).filter((group) => group !== gid);
  const bySetpriv = uid !== undefined && gid !== undefined && (groups.length > 0 || nice !== undefined);
  const wrapper: string[] = [];
  if (nice !== undefined) wrapper.push(systemProgram("nice"), "-n", String(nice));
  if (bySetpriv) {
    const list = groups.length === 0 ? "--clear-groups" : `--groups=${[gid, ...groups].join(",")}`;
    wrapper.push(systemProgram("setpriv"), `--reuid=${uid}`, `--regid=${gid}`, list);
  }
  if (wrapper.length > 0) {
    if (bySetpriv) wrapper.push("--");
    // A wrapper would only exit with 127: find out before, so that it is a failed start and not an exit code.
    const found = findProgram(argv[0] ?? "", spec);
    if (found === "missing" || found === "notExecutable") {
      const code = found === "missing" ? "ENOENT" : "EACCES";
      throw Object.assign(new Error(code), { code });
    }
  }
  return {
    argv: [...wrapper, ...argv],
    ...(bySetpriv || uid === undefined ? {} : { uid }),
    ...(bySetpriv || gid === undefined ? {} : { gid }),
  };
}

/** Whether execvp would find the program, as seen by the agent's user. */
export function findProgram(
  name: string,
  where: { cwd: string; env: Readonly<Record<string, string>> },
): "found" | "missing" | "notExecutable" {
  const folders = name.includes("/") ? [""] : (where.env.PATH ?? DEFAULT_PATH).split(":");
  let answer: "missing" | "notExecutable" = "missing";
  for (const folder of folders) {
    const path = isAbsolute(name) ? name : resolve(where.cwd, join(folder, name));
    const kind = executable(path);
    if (kind === "found") return kind;
    if (kind === "notExecutable") answer = kind;
  }
  return answer;
}

function executable(path: string): "found" | "missing" | "notExecutable" {
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
