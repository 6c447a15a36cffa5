/**
 * The command runner: turns a job's `run.command` into a request for the supervisor. Whatever the host lacks (user, rights) is said before anything starts.
 * Nothing here needs etcd.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDuration } from "fleetcron-shared/base/duration";
import { AppError } from "fleetcron-shared/base/errors";
import { parseSize } from "fleetcron-shared/base/size";
import type { CommandSpec, LimitsSpec } from "fleetcron-shared/model/job-spec";
import type { Limits, StartSpec, WatchSpec } from "../spawner/protocol.ts";
import { DEFAULT_PATH } from "./default-path.ts";
import type { User, Users } from "./users.ts";

const DEFAULT_SHELL = ["/bin/sh", "-c"];

export type CommandContext = {
  /** The attempt's folder, which exists when there is input: receives `stdin`. */
  readonly folder: string;
  /** The job's and the run's variables; they win over PATH, HOME, USER, LOGNAME, SHELL, which are set here. */
  readonly env: Readonly<Record<string, string>>;
};

export type PreparedCommand = Omit<StartSpec, keyof WatchSpec> & Pick<WatchSpec, "limits">;

/** `own` is whom the agent runs as (`process.getuid` and `getgid`). Throws AppError `run/user` when the job asks for another user and may not get it. */
export async function prepareCommand(
  deps: { users: Users; own: { uid: number; gid: number } },
  command: CommandSpec,
  context: CommandContext,
): Promise<PreparedCommand> {
  const { user, ids } = await identity(deps, command);
  const stdinPath = command.stdin === undefined ? undefined : join(context.folder, "stdin");
  if (stdinPath !== undefined) await writeFile(stdinPath, command.stdin ?? "", { mode: 0o600 });
  return {
    argv: command.argv ?? [...(command.shell ?? DEFAULT_SHELL), command.script ?? ""],
    cwd: command.cwd ?? user?.startIn ?? "/",
    env: { ...baseEnv(user), ...context.env },
    ...ids,
    ...(command.umask === undefined ? {} : { umask: Number.parseInt(command.umask, 8) }),
    ...(command.nice === undefined ? {} : { nice: command.nice }),
    ...(command.limits === undefined ? {} : { limits: limitsOf(command.limits) }),
    ...(stdinPath === undefined ? {} : { stdinPath }),
  };
}

function limitsOf({ nofile, memory, cpu }: LimitsSpec): Limits {
  const memoryBytes = memory === undefined ? undefined : parseSize(memory);
  const cpuMs = cpu === undefined ? undefined : parseDuration(cpu);
  return {
    ...(nofile === undefined ? {} : { nofile }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(cpuMs === undefined ? {} : { cpuSeconds: Math.max(1, Math.ceil(cpuMs / 1000)) }),
  };
}

type Identity = { readonly user: User | undefined; readonly ids: Pick<StartSpec, "ids"> };

async function identity(deps: { users: Users; own: { uid: number; gid: number } }, command: CommandSpec): Promise<Identity> {
  const { users, own } = deps;
  const user = await users.user(command.user ?? String(own.uid));
  if (command.user === undefined && command.group === undefined) return { user, ids: {} };
  if (command.user !== undefined && user === undefined)
    throw new AppError("run/user", `run.command.user: there is no user "${command.user}" on this host`);
  const gid = command.group === undefined ? (user?.gid ?? own.gid) : await users.gid(command.group);
  if (gid === undefined) throw new AppError("run/user", `run.command.group: there is no group "${command.group}" on this host`);
  const uid = user?.uid ?? own.uid;
  if (own.uid === 0) return { user, ids: { ids: { uid, gid, groups: user?.groups ?? [gid] } } };
  if (uid === own.uid && (command.group === undefined || gid === own.gid)) return { user, ids: {} };
  throw new AppError("run/user", `run.command: the agent runs as uid ${own.uid} and cannot run a command as ${wanted(command)}`, {
    hint: "run the agent as root, or leave out user and group",
  });
}

function wanted(command: CommandSpec): string {
  return [command.user === undefined ? "" : `user "${command.user}"`, command.group === undefined ? "" : `group "${command.group}"`]
    .filter(Boolean)
    .join(", ");
}

function baseEnv(user: User | undefined): Record<string, string> {
  const path = { PATH: DEFAULT_PATH, SHELL: "/bin/sh" };
  return user === undefined ? { ...path, HOME: "/" } : { ...path, HOME: user.home, USER: user.name, LOGNAME: user.name };
}
