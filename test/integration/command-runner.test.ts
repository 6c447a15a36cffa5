import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { CommandSpec } from "fleetcron-shared/model/job-spec";
import type { StartSpec } from "../../packages/agent/src/run/supervisor.ts";
import { prepareCommand } from "../../packages/agent/src/runners/command.ts";
import { openUsers } from "../../packages/agent/src/runners/users.ts";
import { type SupervisorBench, supervisorBench } from "../support/supervisor.ts";

const ROOT = { uid: 0, gid: 0 };
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const asRoot = own.uid === 0 ? test : test.skip;

async function prepare(command: CommandSpec, folder: string, as = own): Promise<StartSpec> {
  const deps = { users: openUsers({ clock: systemClock }), own: as };
  const prepared = await prepareCommand(deps, command, { folder, env: { GIVEN: "yes" } });
  return { execution: randomUUID(), attempt: 1, logPath: join(folder, "log"), timeoutMs: 0, killGraceMs: 1000, ...prepared };
}

async function output(t: ExecutionContext, bench: SupervisorBench, command: CommandSpec): Promise<string> {
  const folder = mkdtempSync(join(bench.folder, "exec-"));
  const end = await bench.supervisor.start(await prepare(command, folder)).ended;
  const log = readFileSync(join(folder, "log"), "utf8");
  t.deepEqual(end.outcome, { type: "exit", code: 0 }, log);
  return log;
}

test("a script goes to the shell, argv does not", async (t) => {
  await using bench = await supervisorBench();
  t.is(await output(t, bench, { script: 'echo "$GIVEN"\necho two | tr a-z A-Z' }), "yes\nTWO\n");
  t.is(await output(t, bench, { argv: ["echo", "$GIVEN; true"] }), "$GIVEN; true\n");
  t.is(await output(t, bench, { shell: ["/bin/bash", "-e", "-c"], script: "echo $BASH_VERSION" }).then((text) => /^\d/.test(text)), true);
});

test("input is kept private and reaches the command", async (t) => {
  await using bench = await supervisorBench();
  t.is(await output(t, bench, { argv: ["cat"], stdin: "a\nü" }), "a\nü");
  await prepare({ argv: ["cat"], stdin: "x" }, bench.folder);
  t.is(statSync(join(bench.folder, "stdin")).mode & 0o777, 0o600);
});

asRoot("a command runs as its user, with the user's groups, home and no more", async (t) => {
  await using bench = await supervisorBench();
  const script = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; pwd; grep CapEff /proc/self/status";
  t.is(
    await output(t, bench, { script, user: "daemon" }),
    "1\n1\n1\ndaemon\n".replace("daemon\n", "/usr/sbin daemon daemon\n/usr/sbin\nCapEff:\t0000000000000000\n"),
  );
  const nobody = await output(t, bench, { script, user: "nobody" });
  t.regex(nobody, /^65534\n65534\n65534\n\/nonexistent nobody nobody\n\/\n/);
  t.is(await output(t, bench, { script: "id -u; id -g", user: "1", group: "nogroup" }), "1\n65534\n");
});

asRoot("supplementary groups, nice and umask are set on the real thing", async (t) => {
  await using bench = await supervisorBench();
  const spec = await prepare(
    { script: "id -u; id -g; id -G; nice; umask; env | grep -c . ; grep CapEff /proc/self/status", user: "daemon", nice: -5, umask: "077" },
    bench.folder,
  );
  const end = await bench.supervisor.start({ ...spec, ids: { uid: 1, gid: 1, groups: [1, 4, 20] } }).ended;
  const lines = readFileSync(spec.logPath, "utf8").split("\n");
  t.deepEqual(end.outcome, { type: "exit", code: 0 });
  t.deepEqual(lines.slice(0, 5), ["1", "1", "1 4 20", "-5", "0077"]);
  t.is(lines[6], "CapEff:\t0000000000000000");
});

asRoot("a raised priority is given before the user's rights are taken", async (t) => {
  await using bench = await supervisorBench();
  t.is(await output(t, bench, { script: "id -u; nice", user: "nobody", nice: -3 }), "65534\n-3\n");
  t.is(await output(t, bench, { script: "nice", nice: 7 }), "7\n");
});

asRoot("a command that its user may not execute is a failed start", async (t) => {
  await using bench = await supervisorBench();
  const spec = await prepare({ argv: ["/root/no-such-program"], user: "nobody" }, bench.folder);
  t.is((await bench.supervisor.start(spec).ended).outcome.type, "spawnFailed");
});

test("an unknown user or group, or one that the agent may not become, is refused with the reason", async (t) => {
  await using bench = await supervisorBench();
  const refused = async (command: CommandSpec, as: { uid: number; gid: number }, words: RegExp) => {
    const error = await t.throwsAsync(prepare({ script: "true", ...command }, bench.folder, as), { instanceOf: AppError });
    t.is(error?.code, "run/user");
    t.regex(error?.message ?? "", words);
  };
  await refused({ user: "no-such-user" }, ROOT, /no user "no-such-user"/);
  await refused({ user: "-x" }, ROOT, /no user "-x"/);
  await refused({ group: "no-such-group" }, ROOT, /no group "no-such-group"/);
  await refused({ user: "root" }, { uid: 1, gid: 1 }, /runs as uid 1 and cannot run a command as user "root"/);
  await refused({ group: "root" }, { uid: 1, gid: 1 }, /as group "root"/);
  t.is((await prepare({ script: "true", user: "daemon" }, bench.folder, { uid: 1, gid: 1 })).ids, undefined);
});
