/** What tests of installations over SSH need: this program in another version, and the processes that an installation has left on this machine. */
import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Cli, createCli } from "./cli-process.ts";
import { isAlive, textOf, until } from "./processes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** A checkout whose agent has another version, in a folder that does not exist yet; returns the path of its `fleetcron`. */
export function programOfVersion(folder: string, version: string): string {
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (!name.startsWith("fleetcron") && !name.startsWith("."))
      symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  for (const [name, folderName] of [
    ["fleetcron-shared", "shared"],
    ["fleetcron-agent", "agent"],
    ["fleetcron", "master"],
  ] as const) {
    const copy = join(folder, "packages", folderName);
    mkdirSync(copy, { recursive: true });
    for (const part of ["bin", "src", "systemd", "launch.js", "package.json"]) {
      const from = join(root, "packages", folderName, part);
      if (readdirSync(join(root, "packages", folderName)).includes(part)) cpSync(from, join(copy, part), { recursive: true });
    }
    symlinkSync(join("..", "packages", folderName), join(folder, "node_modules", name));
  }
  const manifest = join(folder, "packages/agent/package.json");
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, "utf8")), version }));
  return join(folder, "packages/master/bin/fleetcron.js");
}

/** Runs such a program; an installation moves some 200 MB, which takes its time on a busy machine. */
export function installerOf(home: string, env: Readonly<Record<string, string>>, bin: string): Cli {
  return createCli(home, env, { bin, limitMs: 150_000 });
}

/** Every living process of an installation: its agent, spawners, and the script that keeps the agent. */
export function processesOf(prefix: string): number[] {
  const real = realOf(prefix);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(
      (pid) =>
        isAlive(pid) &&
        (exeOf(pid).startsWith(`${real}/releases/`) || textOf(`/proc/${pid}/cmdline`).includes(`${prefix}/fleetcron-agent-ctl\0keep`)),
    );
}

/** For the end of a test: what an installation runs is gone, with all below it. */
export async function endInstallation(prefix: string): Promise<void> {
  for (let pids = processesOf(prefix); pids.length > 0; pids = processesOf(prefix)) {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
    await until("they are gone", () => !pids.some(isAlive));
  }
}

function exeOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return "";
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** A line of sshd_config: programs that stand before those of the host, such as `uname`. */
export function fakePrograms(folder: string, programs: Readonly<Record<string, string>>): string {
  mkdirSync(folder);
  for (const [program, script] of Object.entries(programs)) writeFileSync(join(folder, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `SetEnv PATH=${folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** A crontab in a file. */
export function fakeCrontab(file: string): string {
  return `if [ "$1" = -l ]; then [ -f ${file} ] && cat ${file}; else cat >${file}.new && mv ${file}.new ${file}; fi`;
}

/**
 * Lines of sshd_config for a host where systemd seems to run: its folders are mounted over those of this machine, for the sessions alone (needs root), and
 * `systemctl` does what it would do with the one unit.
 */
export function fakeSystemd(folder: string): readonly string[] {
  for (const each of ["run/system", "units"]) mkdirSync(join(folder, each), { recursive: true });
  writeFileSync(
    join(folder, "enter"),
    [
      `mkdir -p /run/systemd /etc/systemd/system && mount --bind ${folder}/run /run/systemd && mount --bind ${folder}/units /etc/systemd/system || exit 1`,
      'exec sh -c "$SSH_ORIGINAL_COMMAND"',
      "",
    ].join("\n"),
  );
  const systemctl = `
unit=${folder}/units/fleetcron-agent.service pid=${folder}/pid
echo "$*" >>${folder}/calls
alive() { [ -s $pid ] && kill -0 "$(cat $pid)" 2>/dev/null; }
stop() { alive || return 0; kill -TERM "$(cat $pid)"; while alive; do sleep 0.1; done; rm -f $pid; }
start() {
  for line in $(sed -n 's/^Environment=//p' $unit); do export "$line"; done
  sh -c "$(sed -n 's/^ExecStartPre=-//p' $unit)"
  setsid sh -c "echo \\$\\$ >$pid; exec $(sed -n 's/^ExecStart=//p' $unit)" >>${folder}/journal 2>&1 </dev/null &
}
case "$1" in
  is-active) alive ;;
  start) alive || start ;;
  stop) stop ;;
  restart) stop; start ;;
  *) exit 0 ;;
esac`;
  return [
    fakePrograms(join(folder, "bin"), { systemctl, journalctl: `tail -n 12 ${folder}/journal` }),
    `ForceCommand unshare -m sh ${join(folder, "enter")}`,
  ];
}
