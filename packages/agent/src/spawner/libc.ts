/**
 * The few calls of the C library that Node does not offer, bound by koffi: the only file that knows it. `posix_spawn` does not copy this process (vfork), so a
 * start costs what the kernel needs and not what Node's memory is; `wait4` tells usage; a subreaper becomes the parent of what loses its own.
 * Sizes and numbers are those of Linux with glibc on x64 and arm64.
 */
import { getSystemErrorName } from "node:util";
import koffi from "koffi";

/** How a child ended, from wait4. */
export type Reaped = {
  readonly pid: number;
  readonly code: number | undefined;
  readonly signal: number | undefined;
  readonly usage: Usage;
};
export type Usage = { readonly cpuMs: number; readonly maxRssKiB: number };

export type SpawnRequest = {
  /** A path; nothing is searched. */
  readonly file: string;
  readonly argv: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  /** Of the process and all that descend from it (birthmark.ts). */
  readonly timerSlackNs?: number | undefined;
};

export type Ids = { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };

export type Libc = ReturnType<typeof openLibc>;

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const WNOHANG = 1;
const PR_SET_TIMERSLACK = 29;
const PR_SET_CHILD_SUBREAPER = 36;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
/** More than glibc needs for any of the opaque types here (posix_spawnattr_t is the largest with 336). */
const OPAQUE_BYTES = 512;
const RUSAGE_BYTES = 144;

const SYSCALLS: Readonly<Record<string, { setpriority: number; setresuid: number; setresgid: number; setgroups: number }>> = {
  x64: { setpriority: 141, setresuid: 117, setresgid: 119, setgroups: 116 },
  arm64: { setpriority: 140, setresuid: 147, setresgid: 149, setgroups: 159 },
};

/** Binds the calls; throws where this is not Linux on x64 or arm64. */
export function openLibc(arch: string = process.arch) {
  const numbers = SYSCALLS[arch];
  if (process.platform !== "linux" || numbers === undefined)
    throw new Error(`${process.platform} on ${arch} is not supported: Linux on x64 or arm64 is`);
  const lib = koffi.load(null);
  const posixSpawn = lib.func(
    "int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)",
  );
  const actionsInit = lib.func("int posix_spawn_file_actions_init(void *actions)");
  const actionsDestroy = lib.func("int posix_spawn_file_actions_destroy(void *actions)");
  const actionsDup2 = lib.func("int posix_spawn_file_actions_adddup2(void *actions, int from, int to)");
  const actionsChdir = lib.func("int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)");
  const wait4 = lib.func("int wait4(int pid, _Out_ int *status, int options, void *usage)");
  const prctl = lib.func("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)");
  const fallocate = lib.func("int fallocate64(int fd, int mode, int64_t offset, int64_t length)");
  const syscall = lib.func("syscall", "long", ["long", "long", "long", "long"]);
  const syscallList = lib.func("syscall", "long", ["long", "long", "void *"]);

  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const signals = Buffer.alloc(OPAQUE_BYTES);
  lib.func("int posix_spawnattr_init(void *attributes)")(attributes);
  lib.func("int sigemptyset(void *set)")(signals);
  lib.func("int posix_spawnattr_setsigmask(void *attributes, void *set)")(attributes, signals);
  lib.func("int sigfillset(void *set)")(signals);
  lib.func("int posix_spawnattr_setsigdefault(void *attributes, void *set)")(attributes, signals);
  lib.func("int posix_spawnattr_setflags(void *attributes, short flags)")(attributes, SETSIGDEF | SETSIGMASK | SETSID);
  const actions = Buffer.alloc(OPAQUE_BYTES);
  const usage = Buffer.alloc(RUSAGE_BYTES);

  const check = (result: number, what: string): void => {
    if (result !== 0) throw systemError(koffi.errno(), what);
  };

  return {
    /** Starts a process in a session of its own, with default signals. Returns its pid; throws an Error with `code` for the kernel's refusal. */
    spawn(request: SpawnRequest): number {
      const pid = [0];
      actionsInit(actions);
      try {
        actionsDup2(actions, request.stdin, 0);
        actionsDup2(actions, request.stdout, 1);
        actionsDup2(actions, request.stderr, 2);
        actionsChdir(actions, request.cwd);
        // A child has that of the thread that starts it; ours does not matter.
        if (request.timerSlackNs !== undefined) prctl(PR_SET_TIMERSLACK, request.timerSlackNs, 0, 0, 0);
        const errno = posixSpawn(pid, request.file, actions, attributes, [...request.argv, null], [...request.env, null]);
        if (errno !== 0) throw systemError(errno, `posix_spawn ${request.file}`);
        return pid[0] as number;
      } finally {
        actionsDestroy(actions);
      }
    },
    /** The next child that has ended, also one that was inherited; undefined when none has. */
    reap(): Reaped | undefined {
      const status = [0];
      const pid = wait4(-1, status, WNOHANG, usage);
      if (pid <= 0) return undefined;
      const word = status[0] as number;
      const signal = word & 0x7f;
      return {
        pid,
        code: signal === 0 ? (word >> 8) & 0xff : undefined,
        signal: signal === 0 ? undefined : signal,
        usage: readUsage(usage),
      };
    },
    /** From now on descendants that lose their parent become children of this process. */
    becomeSubreaper(): void {
      check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl");
    },
    /** Gives a part of a file back to the file system; it reads as zeros and the file's size stays. */
    punchHole(fd: number, offset: number, length: number): void {
      check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length), "fallocate");
    },
    /**
     * Calls `fn` with this thread's own user, groups and priority changed, so that a process spawned by it has them, and changes them back. Needs root.
     * The C library would change all threads; the kernel's calls change this one only, which keeps the right to return (saved user id 0).
     */
    as<T>(who: { ids?: Ids | undefined; nice?: number | undefined }, fn: () => T): T {
      const { ids, nice } = who;
      try {
        if (nice !== undefined) check(syscall(numbers.setpriority, 0, 0, nice), "setpriority");
        if (ids !== undefined) {
          const list = Uint32Array.from(ids.groups);
          check(syscallList(numbers.setgroups, list.length, list), "setgroups");
          check(syscall(numbers.setresgid, ids.gid, ids.gid, 0), "setresgid");
          check(syscall(numbers.setresuid, ids.uid, ids.uid, 0), "setresuid");
        }
        return fn();
      } finally {
        if (ids !== undefined) {
          syscall(numbers.setresuid, 0, 0, 0);
          syscall(numbers.setresgid, 0, 0, 0);
          syscallList(numbers.setgroups, 0, new Uint32Array(0));
        }
        if (nice !== undefined) syscall(numbers.setpriority, 0, 0, 0);
        // Whatever is started next must not be somebody else's: better no spawner than a wrong one.
        if (process.geteuid?.() !== 0 || process.getegid?.() !== 0) process.abort();
      }
    },
  };
}

/** struct rusage: two timevals (user, system), then the resident set's maximum in KiB. */
function readUsage(buffer: Buffer): Usage {
  const time = (offset: number) => Number(buffer.readBigInt64LE(offset)) * 1000 + Number(buffer.readBigInt64LE(offset + 8)) / 1000;
  return { cpuMs: Math.round(time(0) + time(16)), maxRssKiB: Number(buffer.readBigInt64LE(32)) };
}

function systemError(errno: number, what: string): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${what}: ${code}`), { code });
}
